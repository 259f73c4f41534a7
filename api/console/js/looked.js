/** What the network looked at, in words. No page, no clock. */

import { LEADS, clockText } from "./words.js";

/** @typedef {import("./alarms.js").Look} Look */

/** Samples per second of the analysis. */
export const FS = 500;
/** Seconds of a window: Grad-CAM has one value for each. */
export const LOOK_S = 10;

/** Kinds of feature tokens (models/explain.py). @type {Readonly<Record<string, string>>} */
const KIND = Object.freeze({
  joint: "All measurements together",
  rr_10s: "RR intervals, 10 s",
  rr_30s: "RR intervals, 30 s",
  rr_60s: "RR intervals, 60 s",
  qrs_shape: "QRS shape",
  atrial: "P and f waves",
  morphology: "Waveform of each lead",
  past_minute: "The minute before",
});

/** @param {string} kind @returns {string} */
export function kindText(kind) {
  const known = KIND[kind] ?? kind.replaceAll("_", " ");
  return known.charAt(0).toUpperCase() + known.slice(1);
}

/**
 * @param {Look} look
 * @returns {{kind: string, label: string, share: number, seconds: number[]}[]} what it attended to most comes first
 */
export function attentionRows(look) {
  return Object.entries(look.attention)
    .map(([kind, share]) => ({ kind, label: kindText(kind), share, seconds: look.bySecond[kind] ?? [] }))
    .sort((a, b) => b.share - a.share);
}

/** @param {number} epoch Unix milliseconds of sample 0 @param {number} sample @returns {number} Unix milliseconds */
export function timeOf(epoch, sample) {
  return epoch + (1000 * sample) / FS;
}

/**
 * @param {Look} look
 * @param {number} epoch
 * @returns {string} where the shade is darkest: `Most in lead V1, at 16:03:41.`
 */
export function mostText(look, epoch) {
  let [top, lead, second] = [0, "", 0];
  for (const [name, values] of Object.entries(look.saliency)) {
    values.forEach((value, i) => {
      if (value > top) [top, lead, second] = [value, name, i];
    });
  }
  if (top === 0) return "No second of the signal spoke for it: it was told by the measurements below.";
  return `Most in lead ${lead}, at ${clockText(timeOf(epoch, look.at - (LOOK_S - second) * FS))}.`;
}

/** @param {Iterable<string>} names @returns {string[]} in the order of the twelve leads */
export function inLeadOrder(names) {
  return [...new Set(names)].sort((a, b) => LEADS.indexOf(a) - LEADS.indexOf(b));
}
