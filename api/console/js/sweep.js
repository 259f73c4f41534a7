/** The sweeping trace of one sector: only new samples are drawn, an erase bar runs ahead of them. */

import { CAPACITY, DISPLAY_FS } from "./jitter.js";

/** Width of the erase bar, CSS pixels. */
const ERASE_BAR = 14;
/** A slot holds 2.5 mV at 10 mm/mV; a crowded wall is drawn smaller rather than cut off. */
const SLOT_MM = 25;
/** Where in its slot a lead's baseline stands: R points up in most leads, aVR and V1–V3 point down. */
const BASELINE = 0.62;
const BASELINE_DOWN = 0.42;
const POINT_DOWN = Object.freeze([3, 6, 7, 8]);

/**
 * @typedef {object} Scale
 * @property {number} pxPerMm device pixels per millimetre of the drawn grid
 * @property {number} speed mm/s
 * @property {number} gain mm/mV
 * @property {number} ratio device pixels per CSS pixel
 */

/**
 * Pixels per millimetre that let every lead have its range: the ruler's true size where there is room.
 *
 * @param {number} slotHeight height of one lead's slot, CSS pixels
 * @param {number} ruler CSS pixels per true millimetre on this screen
 * @returns {number} CSS pixels per drawn millimetre
 */
export function fittedPxPerMm(slotHeight, ruler) {
  return Math.min(ruler, slotHeight / SLOT_MM);
}

/**
 * Draws the 1 mm and 5 mm grid once; every sector of that size copies its columns from it.
 *
 * @param {number} width device pixels
 * @param {number} height device pixels
 * @param {number} pxPerMm device pixels per millimetre
 * @param {{ground: string, minor: string, major: string}} ink
 * @returns {HTMLCanvasElement}
 */
export function drawGrid(width, height, pxPerMm, ink) {
  const layer = document.createElement("canvas");
  layer.width = width;
  layer.height = height;
  const ctx = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d", { alpha: false }));
  ctx.fillStyle = ink.ground;
  ctx.fillRect(0, 0, width, height);
  const lines = (/** @type {number} */ mm) => {
    for (let x = mm * pxPerMm; x < width; x += mm * pxPerMm) ctx.fillRect(Math.round(x), 0, 1, height);
    for (let y = mm * pxPerMm; y < height; y += mm * pxPerMm) ctx.fillRect(0, Math.round(y), width, 1);
  };
  ctx.fillStyle = ink.minor;
  // Below 2.5 px a millimetre the fine lines would be a grey haze, not a grid.
  if (pxPerMm >= 2.5) lines(1);
  ctx.fillStyle = ink.major;
  lines(5);
  return layer;
}

export class Sweep {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
    /** @type {HTMLCanvasElement|null} */
    this.grid = null;
    /** @type {number[]} lead indices, one per slot */
    this.leads = [];
    this.slots = 1;
    this.pxPerSample = 1;
    this.pxPerMicrovolt = 1;
    this.bar = ERASE_BAR;
    this.epoch = NaN;
    /** Index of the newest sample drawn; -1: nothing yet. */
    this.drawn = -1;
    /** Pixels up to which the ground has been erased, counted without wrapping. */
    this.erased = 0;
  }

  /**
   * Takes a new size, scale or ground, and draws again what the buffer still holds.
   *
   * @param {HTMLCanvasElement} grid its size is the canvas's size
   * @param {Scale} scale
   * @param {number} slots leads below each other
   * @param {string} ink colour of the trace
   */
  fit(grid, scale, slots, ink) {
    this.canvas.width = grid.width;
    this.canvas.height = grid.height;
    this.grid = grid;
    this.slots = slots;
    this.pxPerSample = (scale.speed * scale.pxPerMm) / DISPLAY_FS;
    this.pxPerMicrovolt = (scale.gain * scale.pxPerMm) / 1000;
    this.bar = Math.round(ERASE_BAR * scale.ratio);
    this.ctx.strokeStyle = ink;
    this.ctx.lineWidth = 1.5 * scale.ratio;
    this.ctx.lineJoin = "round";
    this.clear();
  }

  /** Back to the bare grid. */
  clear() {
    this.drawn = -1;
    if (this.grid !== null) this.ctx.drawImage(this.grid, 0, 0);
  }

  /** @param {import("./jitter.js").JitterBuffer} buffer Draws what its clock has released since the last call. */
  draw(buffer) {
    if (this.grid === null) return;
    const to = Math.floor(buffer.position) - 1;
    const sweepSamples = Math.floor((this.canvas.width - this.bar) / this.pxPerSample);
    if (buffer.epoch !== this.epoch || this.drawn > to || to - this.drawn > sweepSamples || this.drawn < buffer.start) {
      if (to < buffer.start) return;
      this.epoch = buffer.epoch;
      this.clear();
      this.drawn = Math.max(buffer.start, to - Math.min(sweepSamples, CAPACITY - DISPLAY_FS));
      this.erased = Math.floor(this.drawn * this.pxPerSample);
    }
    if (to <= this.drawn) return;
    this.#erase(Math.floor(to * this.pxPerSample) + this.bar);
    this.#trace(buffer, this.drawn, to);
    this.drawn = to;
  }

  /** @param {number} until pixels, counted without wrapping */
  #erase(until) {
    const { width, height } = this.canvas;
    const grid = /** @type {HTMLCanvasElement} */ (this.grid);
    while (this.erased < until) {
      const x = this.erased % width;
      const w = Math.min(until - this.erased, width - x);
      this.ctx.drawImage(grid, x, 0, w, height, x, 0, w, height);
      this.erased += w;
    }
  }

  /** @param {import("./jitter.js").JitterBuffer} buffer @param {number} from @param {number} to */
  #trace(buffer, from, to) {
    const { width, height } = this.canvas;
    const slot = height / this.slots;
    const ctx = this.ctx;
    ctx.beginPath();
    for (let row = 0; row < this.leads.length; row += 1) {
      const lead = this.leads[row];
      const baseline = slot * (row + (POINT_DOWN.includes(lead) ? BASELINE_DOWN : BASELINE));
      let lastX = Infinity;
      for (let i = from; i <= to; i += 1) {
        const value = buffer.at(lead, i);
        const x = (i * this.pxPerSample) % width;
        if (Number.isNaN(value)) {
          lastX = Infinity;
          continue;
        }
        const y = Math.max(1, Math.min(height - 1, baseline - value * this.pxPerMicrovolt));
        if (x < lastX) ctx.moveTo(x, y);
        else ctx.lineTo(x, y);
        lastX = x;
      }
    }
    ctx.stroke();
  }
}
