/**
 * Alarm sounds after IEC 60601-1-8: high = two groups of five pulses, medium = three, low = one.
 *
 * A browser lets a page sound only after a person touched it. Until then, and whenever sound is off, the page says so.
 */

/**
 * @typedef {import("./words.js").Priority} Priority
 * @typedef {object} Burst
 * @property {number} pulse length of a pulse, seconds
 * @property {readonly number[]} starts starts of the pulses, seconds from the burst's start
 * @property {number} every seconds from one burst to the next while the alarm stands; 0: only once
 * @property {number} pitch Hz
 */

/** Five pulses, the fourth after a longer pause (x, x, 2x, x). */
const FIVE = [0, 0.25, 0.5, 0.95, 1.2];

/** @type {Readonly<Record<Priority, Burst>>} Intervals lie within the standard's ranges (second-hand: the text is paywalled). */
export const BURSTS = Object.freeze({
  high: { pulse: 0.15, starts: [...FIVE, ...FIVE.map((t) => t + 2)], every: 6, pitch: 523 },
  medium: { pulse: 0.2, starts: [0, 0.4, 0.8], every: 15, pitch: 440 },
  low: { pulse: 0.2, starts: [0], every: 30, pitch: 349 },
  technical: { pulse: 0.2, starts: [0], every: 0, pitch: 349 },
});

/** Partials of the tone: one pure sine is hard to locate in a room. */
const PARTIALS = new Float32Array([0, 1, 0.6, 0.4, 0.3, 0.2]);
const EDGE_S = 0.02;
const LOUDNESS = 0.35;

export class AlarmSound {
  /** @param {(on: boolean) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {AudioContext|null} */
    this.context = null;
    this.wanted = true;
    /** @type {Priority|null} */
    this.priority = null;
    this.dueAt = 0;
    /** Bursts started: what a test can count where nobody listens. */
    this.bursts = 0;
  }

  /** @returns {boolean} whether an alarm would be heard now */
  get on() {
    return this.wanted && this.context !== null && this.context.state === "running";
  }

  /** A person touched the page: sound may start. */
  async unlock() {
    if (!this.wanted) return;
    if (this.context === null) {
      this.context = new AudioContext();
      this.context.onstatechange = () => this.onChange(this.on);
    }
    if (this.context.state !== "running") await this.context.resume();
    this.onChange(this.on);
  }

  /** The button: off if it is on, else on. */
  async toggle() {
    this.wanted = !this.on;
    if (this.wanted) await this.unlock();
    else await this.context?.suspend();
    this.onChange(this.on);
  }

  /**
   * What stands highest now. A higher priority sounds at once, and so does news of the same one.
   *
   * @param {Priority|null} priority
   * @param {boolean} news
   */
  set(priority, news) {
    if (priority !== this.priority || news) this.dueAt = 0;
    this.priority = priority;
  }

  /** @param {number} now performance.now(); to be called a few times a second */
  tick(now) {
    if (!this.on || this.priority === null || now < this.dueAt) return;
    const burst = BURSTS[this.priority];
    this.#play(burst);
    this.dueAt = burst.every > 0 ? now + 1000 * burst.every : Infinity;
  }

  /** @param {Burst} burst */
  #play(burst) {
    const context = /** @type {AudioContext} */ (this.context);
    const wave = context.createPeriodicWave(new Float32Array(PARTIALS.length), PARTIALS);
    const begin = context.currentTime + 0.05;
    for (const start of burst.starts) {
      const tone = new OscillatorNode(context, { type: "custom", periodicWave: wave, frequency: burst.pitch });
      const volume = new GainNode(context, { gain: 0 });
      const [from, to] = [begin + start, begin + start + burst.pulse];
      volume.gain.setValueAtTime(0, from);
      volume.gain.linearRampToValueAtTime(LOUDNESS, from + EDGE_S);
      volume.gain.setValueAtTime(LOUDNESS, to - EDGE_S);
      volume.gain.linearRampToValueAtTime(0, to);
      tone.connect(volume).connect(context.destination);
      tone.start(from);
      tone.stop(to);
    }
    this.bursts += 1;
  }
}
