/**
 * The jitter buffer of one bed: frames come in about every 200 ms, samples go out at a steady 125 Hz by an index clock.
 */

import { microvolts } from "./frames.js";

/** Display samples per second. */
export const DISPLAY_FS = 125;
/** Delay that the clock holds: two frames of 200 ms, so that one late frame does not stop the trace. */
const DELAY = 0.4 * DISPLAY_FS;
/** A clock this far behind has been asleep (a hidden tab, a stalled network): jump instead of racing after it. */
const MAX_LAG = 2 * DISPLAY_FS;
/** The clock leans on its speed by no more than this to hold the delay; more would be seen as a change of rate. */
const MAX_LEAN = 0.08;
/** Samples kept, so that a resized sector can be drawn again at once: 16 s. A power of two. */
export const CAPACITY = 2048;
const N_LEADS = 12;

export class JitterBuffer {
  constructor() {
    /** µV, lead-major ring; NaN where nothing was measured. */
    this.ring = new Float32Array(N_LEADS * CAPACITY).fill(NaN);
    this.epoch = NaN;
    /** First index kept and the index after the newest sample. */
    this.start = 0;
    this.end = 0;
    /** The index clock: everything before it has been released for drawing. */
    this.position = 0;
    this.running = false;
    /** `performance.now()` of the newest frame. */
    this.heardAt = -Infinity;
    /** @type {Uint8Array} lead indices of the newest frame */
    this.leads = new Uint8Array(0);
    this.counts = { late: 0, gaps: 0, resyncs: 0 };
  }

  /**
   * Takes a frame. Samples that are already there are dropped, a hole is filled with "not measured".
   *
   * @param {import("./frames.js").WaveFrame} frame
   * @param {number} now performance.now()
   * @returns {boolean} whether the set of leads changed
   */
  push(frame, now) {
    const { first, count } = frame;
    const last = first + count;
    if (frame.epoch !== this.epoch || first > this.end + CAPACITY) {
      if (frame.epoch < this.epoch) {
        this.counts.late += 1;
        return false;
      }
      this.#restart(frame.epoch, first);
    }
    if (last <= this.end) {
      this.counts.late += 1;
      return false;
    }
    this.heardAt = now;
    if (first > this.end) {
      this.counts.gaps += 1;
      this.#blank(this.end, first);
    }
    const from = Math.max(first, this.end);
    this.#blank(from, last);
    for (let row = 0; row < frame.leads.length; row += 1) {
      const base = frame.leads[row] * CAPACITY;
      for (let i = from; i < last; i += 1) {
        this.ring[base + (i & (CAPACITY - 1))] = microvolts(frame.counts[row * count + i - first], frame.uvPerBit);
      }
    }
    this.end = last;
    this.start = Math.max(this.start, last - CAPACITY);
    const changed = frame.leads.length !== this.leads.length || frame.leads.some((lead, i) => lead !== this.leads[i]);
    if (changed) this.leads = frame.leads.slice();
    return changed;
  }

  /**
   * Moves the index clock on.
   *
   * @param {number} elapsedMs since the last call
   */
  advance(elapsedMs) {
    const lag = this.end - this.position;
    if (!this.running) {
      if (lag < DELAY) return;
      this.running = true;
    }
    if (lag > MAX_LAG) {
      this.position = this.end - DELAY;
      this.counts.resyncs += 1;
      return;
    }
    // The buffer swings by one frame between arrivals; its mean is half a frame above the delay.
    const lean = Math.max(-MAX_LEAN, Math.min(MAX_LEAN, ((lag - DELAY * 1.25) / DELAY) * MAX_LEAN));
    this.position = Math.min(this.end, this.position + (elapsedMs / 1000) * DISPLAY_FS * (1 + lean));
    if (this.position === this.end) this.running = false;
  }

  /** @param {number} lead @param {number} index @returns {number} µV; NaN where nothing was measured or is kept */
  at(lead, index) {
    if (index < this.start || index >= this.end) return NaN;
    return this.ring[lead * CAPACITY + (index & (CAPACITY - 1))];
  }

  /** Forgets what was drawn before a silence, so that it cannot be taken for live when the bed speaks again. */
  forget() {
    this.start = this.end;
    this.position = this.end;
    this.running = false;
  }

  /** @param {number} epoch @param {number} first */
  #restart(epoch, first) {
    this.epoch = epoch;
    this.start = first;
    this.end = first;
    this.position = first;
    this.running = false;
  }

  /** @param {number} from @param {number} to */
  #blank(from, to) {
    for (let lead = 0; lead < N_LEADS; lead += 1) {
      for (let i = Math.max(from, to - CAPACITY); i < to; i += 1) this.ring[lead * CAPACITY + (i & (CAPACITY - 1))] = NaN;
    }
  }
}
