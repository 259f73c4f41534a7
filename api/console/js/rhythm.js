/** What the console says of rhythm, AF burden and certainty. No page, no clock. Nothing known is `–`, never "normal". */

import { clockText } from "./words.js";

/**
 * @typedef {object} Episode
 * @property {string} kind
 * @property {number} onset_ms Unix milliseconds
 * @property {number|null} offset_ms null while it lasts
 * @property {boolean} confirmed
 *
 * @typedef {object} Rhythm as stream/states.py writes it
 * @property {string|null} now
 * @property {boolean} provisional
 * @property {Record<string, number>} probabilities
 * @property {string[]} prediction_set
 * @property {number[]} evidence
 * @property {number|null} [evidence_end] analysis sample index after the newest of them
 * @property {number|null} burden
 * @property {number} af_s
 * @property {number} analysed_s
 * @property {number} longest_s
 * @property {Episode[]} episodes
 * @property {string} model
 */

export const NOTHING = "–";
/** Whatever else the network names (ectopy, conduction) comes after these. */
const RHYTHMS = Object.freeze(["af", "flutter", "sinus", "other", "noise"]);
/** @type {Readonly<Record<string, string>>} */
const NAME = Object.freeze({
  af: "AF",
  flutter: "flutter",
  sinus: "sinus rhythm",
  other: "other rhythm",
  noise: "noise",
  pac: "PAC",
  pvc: "PVC",
  lbbb: "LBBB",
  rbbb: "RBBB",
  av_block_1: "AV block I",
});

/** @param {string} name @returns {string} how the class is called within a sentence */
export function className(name) {
  return NAME[name] ?? name.replaceAll("_", " ");
}

/** @param {string} text @returns {string} its first letter in capitals, for where it stands alone */
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * What the network says of the bed just now: only while the bed is live and its signal usable.
 *
 * @param {import("./feed.js").BedStatus} bed
 * @returns {Rhythm|null}
 */
export function currentRhythm(bed) {
  if (bed.connection !== "live" || !bed.usable) return null;
  return bed.rhythm ?? null;
}

/** @param {import("./feed.js").BedStatus} bed @returns {string} `AF?` provisional, `AF`, `Sinus`, `–` */
export function rhythmText(bed) {
  const rhythm = currentRhythm(bed);
  if (rhythm === null || rhythm.now === null) return NOTHING;
  const name = rhythm.now === "sinus" ? "Sinus" : capital(className(rhythm.now));
  return name + (rhythm.provisional ? "?" : "");
}

/**
 * Whether another rhythm than the named one cannot be ruled out.
 *
 * @param {readonly string[]} set the prediction set
 * @param {string} named the rhythm that stands there
 * @returns {string} `AF, or flutter: not certain`; empty where there is nothing to add
 */
export function certaintyText(set, named) {
  const others = set.filter((name) => name !== named).map(className);
  if (others.length === 0) return "";
  const rest = others.join(" or ");
  return `${set.includes(named) ? `${capital(className(named))}, or ${rest}` : capital(rest)}: not certain`;
}

/** @param {readonly string[]} set @returns {string} `Possible: AF, flutter`; empty where no network judged */
export function possibleText(set) {
  return set.length === 0 ? "" : `Possible: ${set.map(className).join(", ")}`;
}

/** @param {number} share 0 to 1 @returns {string} no AF that was there reads as 0 %, and none short of all as 100 % */
export function percentText(share) {
  const percent = 100 * share;
  if (percent > 0 && percent < 1) return "<1 %";
  if (percent > 99 && percent < 100) return ">99 %";
  return `${Math.round(percent)} %`;
}

/** @param {number} seconds @returns {string} `45 s`, then hours and minutes: `02:53` */
export function hoursText(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}`;
}

const NEARLY_A_DAY_S = 23 * 3600; // a lead is off for some minutes of any day

/**
 * @param {Rhythm|null|undefined} rhythm
 * @returns {{share: string, time: string, longest: string}|null} null where nothing was analysed. A share of less than
 *   a day says of how much.
 */
export function burdenText(rhythm) {
  if (rhythm == null || rhythm.burden === null) return null;
  const some = rhythm.af_s > 0;
  const percent = percentText(rhythm.burden);
  const day = rhythm.analysed_s >= NEARLY_A_DAY_S;
  return {
    share: day ? `AF 24 h ${percent}` : `AF ${percent} of ${hoursText(rhythm.analysed_s)}`,
    time: some ? hoursText(rhythm.af_s) : "",
    longest: some ? `longest ${hoursText(rhythm.longest_s)}` : "",
  };
}

/**
 * @param {Rhythm} rhythm
 * @returns {{name: string, label: string, probability: number, inSet: boolean, rhythm: boolean}[]} rhythms first
 */
export function probabilityRows(rhythm) {
  const names = Object.keys(rhythm.probabilities);
  const order = [...RHYTHMS.filter((name) => names.includes(name)), ...names.filter((name) => !RHYTHMS.includes(name))];
  return order.map((name) => ({
    name,
    label: capital(className(name)),
    probability: rhythm.probabilities[name],
    inSet: rhythm.prediction_set.includes(name),
    rhythm: RHYTHMS.includes(name),
  }));
}

const WEEKDAY = new Intl.DateTimeFormat("en-GB", { weekday: "short" });

/** @param {number} ms Unix milliseconds @param {number} now likewise @returns {string} `Fri 22:10:05` unless it is today */
export function momentText(ms, now) {
  const today = new Date(ms).toDateString() === new Date(now).toDateString();
  return today ? clockText(ms) : `${WEEKDAY.format(ms)} ${clockText(ms)}`;
}

/** @param {readonly number[]} evidence @returns {string} the strip in words */
export function evidenceText(evidence) {
  const judged = evidence.filter((value) => value >= 0);
  if (judged.length === 0) return "AF evidence: none judged";
  const above = judged.filter((value) => value >= 0.5).length;
  const blank = evidence.length - judged.length;
  return `AF evidence, last ${evidence.length} s: ${above} s at or above 50 %` + (blank > 0 ? `, ${blank} s not judged` : "");
}
