/** One bed on the wall: a custom element with its trace, its rate and its words. */

import { JitterBuffer } from "./jitter.js";
import { NOTHING, burdenText, rhythmText } from "./rhythm.js";
import { Sweep } from "./sweep.js";
import {
  LEADS,
  PRIORITY_WORD,
  STARS,
  bedLabel,
  connectionWord,
  pickLeads,
  qualityText,
  rateText,
  setText,
} from "./words.js";

/** A bed whose frames stopped for this long is not live. */
export const SILENT_MS = 2000;

/** @type {Readonly<import("./feed.js").BedStatus>} */
const UNKNOWN = Object.freeze({ bed: "", connection: "unreported" });

export class BedSector extends HTMLElement {
  constructor() {
    super();
    this.bed = "";
    this.buffer = new JitterBuffer();
    this.stale = true;
    /** @type {import("./feed.js").BedStatus} */
    this.status = UNKNOWN;
    /** @type {import("./alarms.js").Alarm[]} */
    this.alarms = [];
    /** @type {string[]} names of the leads on screen */
    this.shown = [];
    this.slots = 0;
  }

  /** @param {string} bed */
  setUp(bed) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("sector-template"));
    this.append(template.content.cloneNode(true));
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (this.querySelector(name));
    this.bed = bed;
    this.dataset.bed = bed;
    this.setAttribute("role", "button");
    this.setAttribute("aria-controls", "bed-panel");
    this.setAttribute("aria-expanded", "false");
    this.tabIndex = -1;
    this.parts = {
      alarm: part(".alarm"),
      connection: part(".connection"),
      traces: part(".traces"),
      leads: /** @type {NodeListOf<HTMLElement>} */ (this.querySelectorAll(".lead")),
      inops: part(".inops"),
      hr: part(".hr"),
      limits: part(".limits"),
      quality: part(".quality"),
      rhythm: part(".rhythm-now b"),
      share: part(".share"),
      time: part(".time"),
      longest: part(".longest"),
    };
    setText(part(".bed"), bedLabel(bed));
    this.sweep = new Sweep(/** @type {HTMLCanvasElement} */ (this.querySelector("canvas")));
    this.dataset.stale = "true";
    this.render();
  }

  /** Whether the server names this bed. */
  get known() {
    return this.status !== UNKNOWN;
  }

  /** @returns {{width: number, height: number}} room for the traces, CSS pixels */
  get room() {
    const { traces } = /** @type {NonNullable<typeof this.parts>} */ (this.parts);
    return { width: traces.clientWidth, height: traces.clientHeight };
  }

  /**
   * @param {HTMLCanvasElement} grid
   * @param {import("./sweep.js").Scale} scale
   * @param {number} slots
   * @param {string} ink
   */
  fit(grid, scale, slots, ink) {
    this.slots = slots;
    this.#mark("slots", String(slots));
    this.#chooseLeads();
    this.sweep?.fit(grid, scale, slots, ink);
  }

  /** @param {import("./frames.js").WaveFrame} frame @param {number} now */
  hear(frame, now) {
    if (this.buffer.push(frame, now)) this.#chooseLeads();
    if (this.stale && this.buffer.heardAt === now) {
      // What stood there was dimmed as old; undimmed it would pass for live.
      this.buffer.position = this.buffer.start = frame.first;
      this.buffer.running = false;
      this.sweep?.clear();
      this.#setStale(false);
    }
  }

  /** @param {number} elapsedMs since the last animation frame */
  draw(elapsedMs) {
    if (this.stale) return;
    this.buffer.advance(elapsedMs);
    this.sweep?.draw(this.buffer);
  }

  /** @param {number} now performance.now() @param {boolean} connected whether the server is there */
  check(now, connected) {
    if (!this.stale && (!connected || now - this.buffer.heardAt > SILENT_MS)) this.#setStale(true);
  }

  /** @param {import("./feed.js").BedStatus|null} status null: the server names this bed no more, or is not there */
  setStatus(status) {
    this.status = status ?? UNKNOWN;
    if (status !== null) this.#chooseLeads();
    this.render();
  }

  /** @param {import("./alarms.js").Alarm[]} alarms what stands on this bed, most urgent first */
  setAlarms(alarms) {
    this.alarms = alarms;
    this.render();
  }

  render() {
    if (this.parts === undefined) return;
    const { status, alarms, parts } = this;
    const top = alarms[0];
    const words = top === undefined ? "" : `${STARS[top.priority]} ${top.text}`.trim();
    const rate = rateText(status);
    const quality = qualityText(status, this.shown);
    const inops = (status.inops ?? []).map((inop) => inop.text).join(" · ");
    setText(parts.alarm, alarms.length > 1 ? `${words} +${alarms.length - 1}` : words);
    setText(parts.connection, connectionWord(status.connection));
    setText(parts.hr, rate);
    setText(parts.limits, status.limits ? `${status.limits.hr_low}–${status.limits.hr_high}` : "");
    setText(parts.quality, quality.text);
    setText(parts.inops, inops);
    const rhythm = rhythmText(status);
    const burden = burdenText(status.rhythm);
    setText(parts.rhythm, rhythm);
    setText(parts.share, burden?.share ?? "");
    setText(parts.time, burden?.time ?? "");
    setText(parts.longest, burden?.longest ?? "");
    this.#mark("priority", top?.priority ?? "none");
    this.#mark("connection", status.connection);
    this.#mark("signal", quality.good ? "good" : "poor");
    this.#mark("af", burden?.time ? "seen" : "none");
    this.#mark("rhythm", rhythm === NOTHING ? "unknown" : "known");
    this.#mark("rate", /\d/.test(rate) ? "known" : "unknown");
    const alarmWords = top === undefined ? "no alarm" : `${PRIORITY_WORD[top.priority]} alarm ${top.text}`;
    const spoken = [rhythm === NOTHING ? "rhythm not known" : `rhythm ${rhythm}`, burden?.share].filter(Boolean).join(", ");
    const label = `${bedLabel(this.bed)}, ${alarmWords}, heart rate ${rate}, ${spoken}, ${quality.text}, ${parts.connection.textContent} ${inops}`;
    if (this.getAttribute("aria-label") !== label) this.setAttribute("aria-label", label);
  }

  /** @param {boolean} stale */
  #setStale(stale) {
    this.stale = stale;
    this.#mark("stale", String(stale));
  }

  /**
   * By the quality that the server states once a second, not by what each frame holds: a loose electrode would make the
   * screen jump between leads. Before the first status the frames must do.
   */
  #chooseLeads() {
    if (this.sweep === undefined || this.parts === undefined || this.slots === 0) return;
    const quality = this.status.quality ?? {};
    const judged = LEADS.some((lead) => quality[lead] !== undefined && !["off", "missing"].includes(quality[lead]));
    const there = judged
      ? (/** @type {string} */ lead) => quality[lead] !== undefined && !["off", "missing"].includes(quality[lead])
      : (/** @type {string} */ lead) => this.buffer.leads.includes(LEADS.indexOf(lead));
    const picked = pickLeads(there, this.slots);
    if (picked.length === 0 || String(picked) === String(this.sweep.leads)) return;
    this.sweep.leads = picked;
    this.sweep.clear();
    this.shown = picked.map((lead) => LEADS[lead]);
    this.parts.leads.forEach((label, slot) => setText(label, this.shown[slot] ?? ""));
  }

  /** @param {string} name @param {string} value */
  #mark(name, value) {
    if (this.dataset[name] === value) return;
    this.dataset[name] = value;
    // All beds of a priority flash in step: a wall that twinkles is neither calm nor below 3 Hz.
    if (name === "priority") for (const flash of this.getAnimations({ subtree: true })) flash.startTime = 0;
  }
}

customElements.define("bed-sector", BedSector);
