/** Draws the part of a strip that is in view: grid, what was looked at, traces, marks; and the evidence below. */

import { FS, LOOK_S, timeOf } from "./looked.js";
import { TILE, baseline } from "./strip_data.js";
import { drawGrid } from "./sweep.js";
import { clockText } from "./words.js";

/** Height of the band above the traces that names the marks, CSS pixels. */
export const BAND = 18;
/** Height of the row of clock times below the evidence, CSS pixels. */
const TIMES = 15;
/** Darkest shade; the trace on it still has five times its brightness. */
const DARKEST = 0.55;
/** Below every shaded second stands a bar as long as its share: the shade is not the only sign. CSS pixels. */
const METER = 4;
/** The last second of a tile is joined to the first of the next. */
const SECONDS = TILE / FS;

/**
 * @typedef {object} View
 * @property {number} from analysis sample index at the left edge; a fraction
 * @property {number} pxPerSample device pixels
 * @property {number} pxPerMicrovolt device pixels
 * @property {number} pxPerMm device pixels
 * @property {number} ratio device pixels per CSS pixel
 * @property {number} row height of a lead's row, device pixels
 * @property {string[]} leads
 * @property {number} epoch
 *
 * @typedef {Record<"ground"|"minor"|"major"|"trace"|"text"|"look"|"meter"|"evidence"|"blank"|"mark", string>} Ink
 *
 * @typedef {object} Mark
 * @property {number} sample
 * @property {string} label
 * @property {boolean} decision when it was told, not when it was so
 */

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {import("./strip_data.js").StripTiles} tiles
 * @param {import("./alarms.js").Look|null} look
 * @param {readonly Mark[]} marks
 * @param {Ink} ink
 */
export function drawTraces(ctx, view, tiles, look, marks, ink) {
  const { width, height } = ctx.canvas;
  ctx.drawImage(grid(width, height, view.pxPerMm, ink), 0, 0);
  if (look !== null) drawLook(ctx, view, look, ink);
  view.leads.forEach((lead, row) => {
    ctx.save();
    ctx.strokeStyle = ink.trace;
    ctx.lineWidth = 1.3 * view.ratio;
    ctx.lineJoin = "round";
    ctx.beginPath();
    ctx.rect(0, BAND * view.ratio + row * view.row, width, view.row);
    ctx.clip();
    trace(ctx, view, tiles, lead, BAND * view.ratio + (row + 0.55) * view.row);
    ctx.restore();
    label(ctx, lead, 4 * view.ratio, BAND * view.ratio + row * view.row + 13 * view.ratio, view.ratio, ink.trace, ink.ground);
  });
  drawMarks(ctx, view, marks, ink);
}

/** @type {{key: string, layer: HTMLCanvasElement}|null} */
let lastGrid = null;

/** @param {number} width @param {number} height @param {number} pxPerMm @param {Ink} ink @returns {HTMLCanvasElement} */
function grid(width, height, pxPerMm, ink) {
  const key = [width, height, pxPerMm, ink.ground, ink.minor, ink.major].join();
  if (lastGrid?.key !== key) lastGrid = { key, layer: drawGrid(width, height, pxPerMm, ink) };
  return lastGrid.layer;
}

/** @param {CanvasRenderingContext2D} ctx @param {View} view @param {import("./alarms.js").Look} look @param {Ink} ink */
function drawLook(ctx, view, look, ink) {
  view.leads.forEach((lead, row) => {
    const top = BAND * view.ratio + row * view.row;
    (look.saliency[lead] ?? []).forEach((value, second) => {
      const x = edge(view, look.at - (LOOK_S - second) * FS);
      const wide = edge(view, look.at - (LOOK_S - second - 1) * FS) - x;
      ctx.fillStyle = ink.look;
      ctx.globalAlpha = (DARKEST * value) / 100;
      ctx.fillRect(x, top, wide, view.row);
      ctx.globalAlpha = 1;
      ctx.fillStyle = ink.meter;
      const meter = METER * view.ratio;
      ctx.fillRect(x + 1, top + view.row - meter - 1, Math.round((wide - 2) * (value / 100)), meter);
    });
  });
  // The window that was judged, so that a second without shade is one that was looked at and did not count.
  const [left, right] = [edge(view, look.at - LOOK_S * FS), edge(view, look.at)];
  ctx.strokeStyle = ink.meter;
  ctx.lineWidth = view.ratio;
  ctx.setLineDash([4 * view.ratio, 4 * view.ratio]);
  ctx.strokeRect(left + 0.5, BAND * view.ratio + 0.5, right - left - 1, view.row * view.leads.length - 1);
  ctx.setLineDash([]);
}

/** @param {View} view @param {number} sample @returns {number} device pixels */
function edge(view, sample) {
  return Math.round((sample - view.from) * view.pxPerSample);
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {import("./strip_data.js").StripTiles} tiles
 * @param {string} lead
 * @param {number} zero device pixels
 */
function trace(ctx, view, tiles, lead, zero) {
  const to = view.from + ctx.canvas.width / view.pxPerSample;
  ctx.beginPath();
  let drawing = false;
  for (let n = Math.max(0, Math.floor(view.from / TILE)); n * TILE < to; n += 1) {
    const samples = tiles.tiles.get(n)?.leads.get(lead);
    if (samples === undefined) {
      drawing = false;
      continue;
    }
    const [base, before, after] = [n, n - 1, n + 1].map((at) => {
      const some = tiles.tiles.get(at)?.leads.get(lead);
      return some === undefined ? null : baseline(some);
    });
    const level = (/** @type {number} */ second) => {
      const inside = /** @type {Float32Array} */ (base);
      const value = second < 0 ? before?.[SECONDS - 1] : second >= SECONDS ? after?.[0] : inside[second];
      return value === undefined || Number.isNaN(value) ? NaN : value;
    };
    for (let i = 0; i < TILE; i += 1) {
      const x = (n * TILE + i - view.from) * view.pxPerSample;
      if (x < -view.pxPerSample || x > ctx.canvas.width + view.pxPerSample) continue;
      if (Number.isNaN(samples[i])) {
        drawing = false;
        continue;
      }
      const at = i / FS - 0.5;
      const second = Math.floor(at);
      const [left, right] = [level(second), level(second + 1)];
      const here = Number.isNaN(left) ? right : Number.isNaN(right) ? left : left + (at - second) * (right - left);
      const y = zero - (samples[i] - here) * view.pxPerMicrovolt;
      if (drawing) ctx.lineTo(x, y);
      else ctx.moveTo(x, y);
      drawing = true;
    }
  }
  ctx.stroke();
}

/** @param {CanvasRenderingContext2D} ctx @param {View} view @param {readonly Mark[]} marks @param {Ink} ink */
function drawMarks(ctx, view, marks, ink) {
  const { width, height } = ctx.canvas;
  for (const { sample, label: words, decision } of marks) {
    const x = edge(view, sample);
    if (x < -1 || x > width) continue;
    ctx.strokeStyle = ink.mark;
    ctx.lineWidth = (decision ? 1 : 2) * view.ratio;
    ctx.setLineDash(decision ? [2 * view.ratio, 4 * view.ratio] : []);
    ctx.beginPath();
    ctx.moveTo(x, 0);
    ctx.lineTo(x, height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = `${12 * view.ratio}px ${getComputedStyle(ctx.canvas).fontFamily}`;
    const wide = ctx.measureText(words).width + 6 * view.ratio;
    // What was decided stands before its line, what was so behind it: the two never meet on a short episode.
    const left = decision ? x - wide : x;
    label(ctx, words, Math.max(0, Math.min(width - wide, left)) + 3 * view.ratio, 13 * view.ratio, view.ratio, ink.mark, ink.ground);
  }
}

/**
 * @param {CanvasRenderingContext2D} ctx @param {string} words @param {number} x @param {number} y
 * @param {number} ratio @param {string} ink @param {string} ground
 */
function label(ctx, words, x, y, ratio, ink, ground) {
  ctx.font = `${12 * ratio}px ${getComputedStyle(ctx.canvas).fontFamily}`;
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * ratio;
  ctx.strokeStyle = ground;
  ctx.strokeText(words, x, y);
  ctx.fillStyle = ink;
  ctx.fillText(words, x, y);
}

/**
 * Bars of a second's width, its height the probability; below them the time of day.
 *
 * @param {CanvasRenderingContext2D} ctx
 * @param {View} view
 * @param {(sample: number) => number} evidence 0 to 1, -1 where not judged, NaN where not known
 * @param {number} end analysis sample index after the strip
 * @param {readonly Mark[]} marks
 * @param {Ink} ink
 */
export function drawEvidenceRow(ctx, view, evidence, end, marks, ink) {
  const { width, height } = ctx.canvas;
  const tall = height - TIMES * view.ratio;
  ctx.fillStyle = ink.ground;
  ctx.fillRect(0, 0, width, height);
  const to = Math.min(end, view.from + width / view.pxPerSample);
  const half = FS / 2;
  for (let sample = Math.max(0, Math.floor(view.from / half) * half); sample < to; sample += half) {
    const value = evidence(sample);
    const x = edge(view, sample);
    const wide = edge(view, sample + half) - x;
    if (Number.isNaN(value)) continue;
    ctx.fillStyle = value < 0 ? ink.blank : ink.evidence;
    const bar = value < 0 ? tall : Math.max(2, Math.round(value * tall));
    ctx.fillRect(x, tall - bar, wide, bar);
  }
  ctx.fillStyle = ink.major;
  ctx.fillRect(0, Math.round(tall / 2), width, 1);
  ctx.fillRect(0, Math.round(tall), width, 1);
  ctx.fillStyle = ink.text;
  ctx.font = `${11 * view.ratio}px ${getComputedStyle(ctx.canvas).fontFamily}`;
  const step = (view.pxPerSample * FS) / view.ratio > 40 ? 2 : 5;
  const first = Math.ceil(timeOf(view.epoch, view.from) / (1000 * step)) * step;
  for (let second = first; ; second += step) {
    const x = edge(view, ((1000 * second - view.epoch) * FS) / 1000);
    if (x > width) break;
    ctx.fillRect(x, tall, 1, 4 * view.ratio);
    ctx.fillText(clockText(1000 * second), x + 3 * view.ratio, height - 3 * view.ratio);
  }
  label(ctx, "AF evidence, 0 to 100 %", 4 * view.ratio, 12 * view.ratio, view.ratio, ink.mark, ink.ground);
  for (const { sample, decision } of marks) {
    if (decision) continue;
    ctx.fillStyle = ink.mark;
    ctx.fillRect(edge(view, sample) - view.ratio, 0, 2 * view.ratio, tall);
  }
}
