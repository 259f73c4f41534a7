/** The strip of one alarm below the wall: from ten seconds before its onset to the newest word on it. */

import { FS, LOOK_S, attentionRows, inLeadOrder, mostText, timeOf } from "./looked.js";
import { possibleText } from "./rhythm.js";
import { saveSettings } from "./settings.js";
import { StripTiles } from "./strip_data.js";
import { BAND, drawEvidenceRow, drawTraces } from "./strip_draw.js";
import { fittedPxPerMm } from "./sweep.js";
import { STARS, bedLabel, clockText, durationText, setText } from "./words.js";

/** Shown before the onset. */
const BEFORE = 10 * FS;
/** The store keeps five minutes of signal: an older beginning would be a long blank. */
const LONGEST = 310 * FS;
/** A lead's row, CSS pixels: below the least no P wave is seen, above the most the page is wasted. */
const ROW = Object.freeze({ least: 44, most: 130 });
const EVIDENCE = 52;

/** @typedef {import("./alarms.js").Alarm} Alarm */
/** @typedef {import("./alarms.js").Look} Look */

/** @param {string} id @returns {HTMLElement} */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class AlarmStrip {
  /**
   * @param {object} to
   * @param {import("./settings.js").Settings} to.settings
   * @param {string} to.token
   * @param {import("./strip_data.js").EvidenceBook} to.evidence
   * @param {(alarm: string|null) => void} to.onTurn another alarm is shown than before, or none
   */
  constructor({ settings, token, evidence, onTurn }) {
    this.settings = settings;
    this.token = token;
    this.evidence = evidence;
    this.onTurn = onTurn;
    /** @type {Alarm|null} */
    this.alarm = null;
    /** @type {Look|null} the one that is shown */
    this.look = null;
    /** @type {StripTiles|undefined} */
    this.tiles = undefined;
    this.problem = "";
    this.pxPerSample = 1;
    this.first = 0;
    this.end = 0;
    /** What buttons and list were last made from: made anew only where that changed. */
    this.made = "";
    this.listed = "";
    this.root = part("strip");
    this.scroll = part("strip-scroll");
    this.toggle = /** @type {HTMLInputElement} */ (part("strip-look"));
    this.traces = /** @type {HTMLCanvasElement} */ (part("strip-traces"));
    this.row = /** @type {HTMLCanvasElement} */ (part("strip-evidence"));
    this.toggle.checked = settings.look;
    this.toggle.addEventListener("change", () => {
      settings.look = this.toggle.checked;
      saveSettings(settings);
      this.#look();
      this.draw();
      if (settings.look && this.look !== null) this.#goTo(this.look.at, 1);
    });
    part("strip-looks").addEventListener("change", (event) => {
      const { value } = /** @type {HTMLInputElement} */ (event.target);
      this.look = this.alarm?.looks.find((look) => look.when === value) ?? null;
      this.#look();
      if (this.look !== null) this.#goTo(this.look.at, 1);
    });
    part("strip-close").addEventListener("click", () => this.close());
    this.scroll.addEventListener("scroll", () => this.draw());
    // The strip closes before the panel under it.
    addEventListener("keydown", (event) => {
      const inRuler = event.target instanceof Element && event.target.closest("#ruler") !== null;
      if (event.key !== "Escape" || this.alarm === null || inRuler) return;
      event.stopImmediatePropagation();
      this.close();
    }, { capture: true });
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    matchMedia("print").addEventListener("change", () => this.draw());
  }

  /** @param {Alarm} alarm one with moments */
  open(alarm) {
    if (alarm.moments === null) return;
    const { epoch, onset } = alarm.moments;
    this.alarm = null;
    this.made = "";
    this.tiles = new StripTiles(alarm.bed, epoch, this.token, (problem) => this.#loaded(problem));
    this.first = Math.max(0, onset - BEFORE, alarm.moments.last - LONGEST);
    this.root.hidden = false;
    document.body.dataset.strip = "open";
    this.problem = "";
    this.update(alarm);
    this.onTurn(alarm.id);
    this.root.focus({ preventScroll: true });
    if (this.look !== null && this.settings.look) this.#goTo(this.look.at, 1);
    else this.#goTo(Math.max(onset, this.first), 0.2);
  }

  close() {
    if (this.alarm === null) return;
    this.alarm = null;
    this.tiles = undefined;
    this.root.hidden = true;
    delete document.body.dataset.strip;
    this.onTurn(null);
  }

  /** @param {Alarm} alarm the one that is shown, as it stands now */
  update(alarm) {
    const moments = alarm.moments;
    if (moments === null) return;
    const news = this.alarm === null || this.alarm.looks.length !== alarm.looks.length;
    this.alarm = alarm;
    this.end = Math.max(moments.last, moments.offset ?? 0);
    if (news) this.look = alarm.looks.at(-1) ?? null;
    setText(part("strip-title"), `${bedLabel(alarm.bed)} · ${alarm.ended === null ? STARS[alarm.priority] : "Ended:"} ${alarm.text}`);
    setText(part("strip-when"), whenText(alarm));
    setText(part("strip-why"), [possibleText(alarm.set), alarm.reason].filter(Boolean).join(" · "));
    const key = JSON.stringify([moments, alarm.looks.length]);
    if (this.made !== key) {
      this.made = key;
      this.#jumps();
      this.#choices();
    }
    this.#look();
    this.draw();
  }

  /** Draws what is in view, and asks for what is missing of it. */
  draw() {
    const { alarm, tiles, scroll } = this;
    if (alarm === null || alarm.moments === null || tiles === undefined || scroll.clientWidth === 0) return;
    const ratio = devicePixelRatio;
    const leads = inLeadOrder([...tiles.leads, ...alarm.looks.flatMap((look) => Object.keys(look.saliency))]);
    const rows = Math.max(1, leads.length);
    const room = (scroll.clientHeight - EVIDENCE - BAND) / rows;
    const row = Math.floor(Math.max(ROW.least, Math.min(ROW.most, room)));
    const pxPerMm = fittedPxPerMm(row, this.settings.ruler);
    this.pxPerSample = (this.settings.speed * pxPerMm) / FS;
    const width = scroll.clientWidth;
    part("strip-long").style.setProperty("width", `${Math.max(width, Math.ceil((this.end - this.first) * this.pxPerSample))}px`);
    size(this.traces, width, BAND + rows * row);
    size(this.row, width, EVIDENCE);
    const view = {
      from: this.first + scroll.scrollLeft / this.pxPerSample,
      pxPerSample: this.pxPerSample * ratio,
      pxPerMicrovolt: (this.settings.gain * pxPerMm * ratio) / 1000,
      pxPerMm: pxPerMm * ratio,
      ratio,
      row: row * ratio,
      leads,
      epoch: alarm.moments.epoch,
    };
    const to = Math.min(this.end, view.from + width / this.pxPerSample);
    tiles.want(view.from, to, performance.now());
    const marks = marksOf(alarm);
    const ink = this.#ink();
    drawTraces(context(this.traces), view, tiles, this.settings.look ? this.look : null, marks, ink);
    const evidence = (/** @type {number} */ sample) => this.evidence.at(alarm.bed, view.epoch, sample);
    drawEvidenceRow(context(this.row), view, evidence, this.end, marks, ink);
    const [left, right] = [view.from, to].map((sample) => clockText(timeOf(view.epoch, sample)));
    this.traces.setAttribute("aria-label", `${leads.join(", ")} from ${left} to ${right}. ${whenText(alarm)}`);
    this.row.setAttribute("aria-label", `AF evidence from ${left} to ${right}`);
    setText(part("strip-note"), this.#note(tiles.empty(view.from, to)));
  }

  /** To be called a few times a second: the newest seconds may not have reached the store yet. */
  tick() {
    const loading = this.tiles !== undefined && [...this.tiles.tiles.values()].some((tile) => !tile.full);
    if (loading) this.draw();
  }

  /** @param {boolean} empty nothing of what is in view is kept @returns {string} */
  #note(empty) {
    if (this.problem) return `The strip could not be loaded: ${this.problem}`;
    if (empty) return "No signal of that time is kept any more: the ward keeps about five minutes.";
    return "";
  }

  /** @param {string} problem */
  #loaded(problem) {
    this.problem = problem;
    this.draw();
  }

  #jumps() {
    const { alarm } = this;
    if (alarm === null) return;
    part("strip-jumps").replaceChildren(
      ...marksOf(alarm).map(({ sample, label, decision }) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = label;
        button.disabled = sample < this.first;
        // Of an onset what follows is of interest, of a decision what came before.
        button.addEventListener("click", () => this.#goTo(sample, decision ? 1 : 0.3));
        return button;
      }),
    );
  }

  #choices() {
    const { alarm, look } = this;
    if (alarm === null) return;
    const choices = part("strip-looks");
    choices.hidden = alarm.looks.length < 2;
    const [legend] = choices.children;
    const labels = alarm.looks.map(({ when }) => {
      const label = document.createElement("label");
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "strip-when", value: when, checked: when === look?.when });
      label.append(input, when === "told" ? " at the alarm" : " when confirmed");
      return label;
    });
    choices.replaceChildren(legend, ...labels);
  }

  /** Legend and attention of the look that is shown. */
  #look() {
    const { alarm, look } = this;
    if (alarm === null || alarm.moments === null) return;
    const on = this.settings.look && look !== null;
    this.toggle.disabled = look === null;
    this.toggle.parentElement?.setAttribute("title", look === null ? "The network had no part in this alarm." : "");
    part("strip-looked").hidden = !on;
    part("strip-looks").toggleAttribute("disabled", !on);
    if (!on) return;
    setText(part("strip-most"), mostText(look, alarm.moments.epoch));
    const key = JSON.stringify([look.attention, look.bySecond]);
    if (this.listed === key) return;
    this.listed = key;
    const rows = attentionRows(look);
    const top = Math.max(1, ...rows.flatMap(({ seconds }) => seconds));
    setText(part("strip-tallest"), Object.keys(look.bySecond).length === 0 ? "" : `, then second by second (the tallest bar is ${top} %)`);
    part("strip-attention").replaceChildren(
      ...rows.map(({ kind, label, share, seconds }) => {
        const [item, name, gauge, fill, number] = ["li", "span", "span", "span", "span"].map((tag) => document.createElement(tag));
        item.dataset.kind = kind;
        name.textContent = label;
        gauge.className = "gauge";
        fill.className = "fill";
        fill.style.setProperty("width", `${Math.max(0, Math.min(100, share))}%`);
        number.className = "share";
        number.textContent = `${share} %`;
        gauge.append(fill);
        item.append(name, gauge, number, secondBars(seconds, top));
        return item;
      }),
    );
  }

  /** @param {number} sample @param {number} place where in the view it is to stand, 0 left to 1 right */
  #goTo(sample, place) {
    this.draw(); // the scale depends on the room that is left now
    this.scroll.scrollLeft = (sample - this.first) * this.pxPerSample - place * this.scroll.clientWidth;
    this.draw();
  }

  /** @returns {import("./strip_draw.js").Ink} */
  #ink() {
    const style = getComputedStyle(this.root);
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name);
    return {
      ground: ink("--trace-ground"),
      minor: ink("--grid-minor"),
      major: ink("--grid-major"),
      trace: ink("--trace"),
      text: ink("--muted"),
      look: ink("--look"),
      meter: ink("--look-bar"),
      evidence: ink("--evidence"),
      blank: ink("--blank"),
      mark: ink("--text"),
    };
  }
}

/** @param {number[]} seconds per cent in each @param {number} top per cent of the tallest @returns {HTMLElement} a bar each */
function secondBars(seconds, top) {
  const bars = document.createElement("span");
  bars.className = "seconds";
  if (seconds.length === 0) return bars;
  bars.setAttribute("role", "img");
  bars.title = `second by second: ${seconds.join(", ")} %`;
  bars.setAttribute("aria-label", bars.title);
  bars.append(
    ...seconds.map((share) => {
      const bar = document.createElement("span");
      bar.style.setProperty("height", `${Math.max(0, Math.min(100, (100 * share) / top))}%`);
      return bar;
    }),
  );
  return bars;
}

/** @param {HTMLCanvasElement} canvas @returns {CanvasRenderingContext2D} */
function context(canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
}

/** @param {HTMLCanvasElement} canvas @param {number} width CSS pixels @param {number} height likewise */
function size(canvas, width, height) {
  const [across, down] = [Math.round(width * devicePixelRatio), Math.round(height * devicePixelRatio)];
  if (canvas.width !== across) canvas.width = across;
  if (canvas.height !== down) canvas.height = down;
  canvas.style.setProperty("width", `${width}px`);
  canvas.style.setProperty("height", `${height}px`);
}

/** @param {Alarm} alarm @returns {import("./strip_draw.js").Mark[]} in time */
export function marksOf({ moments }) {
  if (moments === null) return [];
  /** @type {[number|null, string, boolean][]} */
  const all = [
    [moments.onset, "Onset", false],
    [moments.told, "Alarm", true],
    [moments.confirmed, "Confirmed", true],
    [moments.offset, "End", false],
  ];
  return all
    .flatMap(([sample, label, decision]) => (sample === null ? [] : [{ sample, label, decision }]))
    .sort((a, b) => a.sample - b.sample);
}

/** @param {Alarm} alarm @returns {string} `Onset 16:03:12 · alarm 16:03:29 · confirmed 16:03:44 · end 16:03:49, after 37 s` */
export function whenText(alarm) {
  const { moments } = alarm;
  if (moments === null) return "";
  const clock = (/** @type {number} */ sample) => clockText(timeOf(moments.epoch, sample));
  const said = [`Onset ${clock(moments.onset)}`, `alarm ${clock(moments.told)}`];
  if (moments.confirmed !== null) said.push(`confirmed ${clock(moments.confirmed)}`);
  if (moments.offset !== null) {
    said.push(`end ${clock(moments.offset)}, after ${durationText((1000 * (moments.offset - moments.onset)) / FS)}`);
  }
  return said.join(" · ");
}
