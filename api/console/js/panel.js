/** One bed beside the wall: rhythm with its doubt, the evidence of the last minute, burden and episodes. */

import { STRIP_S, drawEvidence } from "./evidence.js";
import {
  NOTHING,
  burdenText,
  capital,
  certaintyText,
  className,
  currentRhythm,
  evidenceText,
  hoursText,
  momentText,
  percentText,
  probabilityRows,
  rhythmText,
} from "./rhythm.js";
import { PanelAlarms } from "./panel_alarms.js";
import { bedLabel, durationText, setText } from "./words.js";

/** @typedef {import("./rhythm.js").Rhythm} Rhythm */

/** @param {string} id @returns {HTMLElement} */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {string} tag @param {string} name class @param {string} text @returns {HTMLElement} */
function element(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

export class BedPanel {
  /**
   * @param {(bed: string|null, before: string|null) => void} onTurn another bed is shown than before, or none
   * @param {(alarm: string) => void} onStrip a person wants to see an alarm's strip
   */
  constructor(onTurn, onStrip) {
    this.onTurn = onTurn;
    this.list = new PanelAlarms(part("panel-alarms"), onStrip);
    this.root = part("bed-panel");
    this.canvas = /** @type {HTMLCanvasElement} */ (part("panel-evidence"));
    this.ctx = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { alpha: false }));
    /** @type {string|null} */
    this.bed = null;
    /** @type {import("./feed.js").BedStatus|null} */
    this.status = null;
    /** @type {{cell: HTMLElement, since: number}[]} durations that grow */
    this.running = [];
    /** What the lists were last made from: made anew only where that changed, so that nobody's place is lost. */
    this.made = { rows: "", episodes: "" };
    part("panel-close").addEventListener("click", () => this.close());
    addEventListener("keydown", (event) => {
      const inRuler = event.target instanceof Element && event.target.closest("#ruler") !== null;
      if (event.key === "Escape" && this.bed !== null && !inRuler) this.close();
    });
    new ResizeObserver(() => this.#drawStrip()).observe(this.canvas);
  }

  /** @param {string} bed */
  open(bed) {
    const before = this.bed;
    this.bed = bed;
    this.status = null;
    this.root.hidden = false;
    document.body.dataset.panel = "open";
    setText(part("panel-bed"), bedLabel(bed));
    this.onTurn(bed, before);
    this.root.scrollTop = 0;
    this.root.focus();
  }

  close() {
    const before = this.bed;
    this.bed = null;
    this.root.hidden = true;
    delete document.body.dataset.panel;
    this.onTurn(null, before);
  }

  /**
   * @param {import("./feed.js").BedStatus|null} status null: nothing is known of the bed now
   * @param {import("./alarms.js").Alarm[]} alarms what stands on it
   * @param {import("./alarms.js").Alarm[]} ended what ended on it, newest first
   * @param {number} now Unix milliseconds
   */
  show(status, alarms, ended, now) {
    if (this.bed === null) return;
    this.status = status;
    const rhythm = status?.rhythm ?? null;
    const current = status === null ? null : currentRhythm(status);
    setText(part("panel-rhythm"), status === null ? NOTHING : rhythmText(status));
    setText(part("panel-certainty"), this.#certainty(current));
    this.#probabilities(current);
    this.#drawStrip();
    const burden = burdenText(rhythm);
    setText(part("panel-burden"), burden === null ? NOTHING : percentText(rhythm?.burden ?? 0));
    setText(part("panel-burden-note"), burden === null || rhythm === null ? "not analysed" : burdenNote(rhythm));
    this.#episodes(rhythm, status?.connection === "live", now);
    this.list.show(alarms, ended, now);
    setText(part("panel-model"), rhythm === null ? "No finding of the network for this bed." : `Model ${rhythm.model}`);
    this.tick(now);
  }

  /** @param {number} now Unix milliseconds */
  tick(now) {
    for (const { cell, since } of this.running) setText(cell, durationText(now - since));
  }

  /** @param {Rhythm|null} rhythm @returns {string} */
  #certainty(rhythm) {
    if (rhythm === null) return "Nothing is judged now.";
    if (rhythm.now === null) return "";
    const doubt = certaintyText(rhythm.prediction_set, rhythm.now);
    return [rhythm.provisional ? "Provisional." : "", doubt].filter(Boolean).join(" ");
  }

  /** @param {Rhythm|null} rhythm */
  #probabilities(rhythm) {
    const rows = rhythm === null ? [] : probabilityRows(rhythm);
    if (!this.#changed("rows", rows)) return;
    part("panel-no-rows").hidden = rows.length > 0;
    part("panel-rows").replaceChildren(
      ...rows.map((row) => {
        const item = element("li", "", "");
        item.dataset.class = row.name;
        item.dataset.set = String(row.inSet);
        item.dataset.rhythm = String(row.rhythm);
        const bar = element("span", "gauge", "");
        const fill = element("span", "fill", "");
        fill.style.setProperty("width", `${100 * Math.min(1, Math.max(0, row.probability))}%`);
        bar.append(fill);
        item.append(
          element("span", "class", row.label),
          bar,
          element("span", "probability", percentText(row.probability)),
          element("span", "in-set", row.inSet ? "possible" : ""),
        );
        return item;
      }),
    );
  }

  #drawStrip() {
    const ratio = devicePixelRatio;
    const { clientWidth, clientHeight } = this.canvas;
    if (this.bed === null || clientWidth === 0) return;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const evidence = (this.status === null ? null : currentRhythm(this.status))?.evidence ?? [];
    const style = getComputedStyle(this.canvas);
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name);
    drawEvidence(this.ctx, evidence, {
      ground: ink("--trace-ground"),
      line: ink("--grid-major"),
      bar: ink("--evidence"),
      blank: ink("--blank"),
    });
    const words = evidenceText(evidence.slice(-STRIP_S));
    if (this.canvas.getAttribute("aria-label") !== words) this.canvas.setAttribute("aria-label", words);
  }

  /** @param {Rhythm|null} rhythm @param {boolean} live @param {number} now */
  #episodes(rhythm, live, now) {
    const episodes = [...(rhythm?.episodes ?? [])].sort((a, b) => b.onset_ms - a.onset_ms);
    if (!this.#changed("episodes", [episodes, live, rhythm === null, new Date(now).toDateString()])) return;
    setText(part("panel-no-episodes"), rhythm === null ? "Not known." : "None seen.");
    part("panel-no-episodes").hidden = episodes.length > 0;
    part("panel-table").hidden = episodes.length === 0;
    this.running = [];
    part("panel-episodes").replaceChildren(
      ...episodes.map((episode) => {
        const row = element("tr", "", "");
        const lasts = episode.offset_ms === null;
        const end = episode.offset_ms === null ? "lasts" : momentText(episode.offset_ms, now);
        const duration = element("td", "number", NOTHING);
        if (episode.offset_ms !== null) setText(duration, durationText(episode.offset_ms - episode.onset_ms));
        else if (live) this.running.push({ cell: duration, since: episode.onset_ms });
        row.dataset.confirmed = String(episode.confirmed);
        row.append(
          element("td", "", capital(className(episode.kind)) + (episode.confirmed ? "" : "?")),
          element("td", "number", momentText(episode.onset_ms, now)),
          element("td", lasts ? "" : "number", lasts && !live ? "not known" : end),
          duration,
          element("td", "", episode.confirmed ? "confirmed" : "provisional"),
        );
        return row;
      }),
    );
  }

  /** @param {keyof typeof this.made} what @param {unknown} from @returns {boolean} */
  #changed(what, from) {
    const key = JSON.stringify(from);
    if (this.made[what] === key) return false;
    this.made[what] = key;
    return true;
  }
}

/** @param {Rhythm} rhythm @returns {string} `02:53 of 23:10 analysed · longest 01:05` */
function burdenNote(rhythm) {
  const longest = rhythm.af_s > 0 ? ` · longest ${hoursText(rhythm.longest_s)}` : "";
  return `${hoursText(rhythm.af_s)} of ${hoursText(rhythm.analysed_s)} analysed${longest}`;
}
