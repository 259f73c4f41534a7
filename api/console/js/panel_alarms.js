/** The alarms of one bed within its panel: what stands, then what ended last, each with its strip. */

import { possibleText } from "./rhythm.js";
import { whenText } from "./strip.js";
import { STARS, ageText, clockText, setText } from "./words.js";

/** @typedef {import("./alarms.js").Alarm} Alarm */

/** Ended alarms shown; the alarm list has the others. */
const ENDED = 4;

export class PanelAlarms {
  /** @param {HTMLElement} list @param {(alarm: string) => void} onStrip a person wants to see its strip */
  constructor(list, onStrip) {
    this.list = list;
    this.onStrip = onStrip;
    /** @type {Map<string, HTMLElement>} rows by alarm: kept, so that the focus in one is not lost */
    this.rows = new Map();
    /** @type {string|null} whose strip is open */
    this.open = null;
  }

  /**
   * @param {Alarm[]} standing most urgent first
   * @param {Alarm[]} ended newest first
   * @param {number} now Unix milliseconds
   */
  show(standing, ended, now) {
    const all = [...standing, ...ended.slice(0, ENDED)];
    for (const [id, row] of this.rows) {
      if (all.some((alarm) => alarm.id === id)) continue;
      row.remove();
      this.rows.delete(id);
    }
    all.forEach((alarm, place) => {
      const row = this.rows.get(alarm.id) ?? this.#row(alarm);
      if (this.list.children[place] !== row) {
        // Moving a row takes the focus from it.
        const focused = row.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
        this.list.insertBefore(row, this.list.children[place] ?? null);
        focused?.focus();
      }
      const over = alarm.ended !== null;
      row.dataset.priority = alarm.priority;
      row.dataset.ended = String(over);
      const say = (/** @type {string} */ name, /** @type {string} */ text) =>
        setText(/** @type {Element} */ (row.querySelector(name)), text);
      say("strong", `${over ? "Ended:" : STARS[alarm.priority]} ${alarm.text}`.trim());
      const age = over ? "" : `, ${ageText(now - alarm.since)}`;
      const onset = alarm.moments === null ? `since ${clockText(alarm.since)}` : whenText(alarm);
      say(".when", onset + age);
      say(".why", [possibleText(alarm.set), alarm.reason].filter(Boolean).join(" · "));
      row.querySelector("button")?.setAttribute("aria-expanded", String(this.open === alarm.id));
    });
  }

  /** @param {string|null} alarm whose strip is open now */
  mark(alarm) {
    const before = this.open;
    this.open = alarm;
    for (const [id, row] of this.rows) row.querySelector("button")?.setAttribute("aria-expanded", String(id === alarm));
    if (alarm === null && before !== null) this.rows.get(before)?.querySelector("button")?.focus();
  }

  /** @param {Alarm} alarm @returns {HTMLElement} */
  #row(alarm) {
    const row = document.createElement("li");
    row.dataset.alarm = alarm.id;
    const text = document.createElement("strong");
    const [when, why] = ["when", "why"].map((name) => {
      const span = document.createElement("span");
      span.className = name;
      return span;
    });
    row.append(text);
    if (alarm.moments !== null) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = "Strip";
      button.setAttribute("aria-controls", "strip");
      button.setAttribute("aria-label", `Strip of ${alarm.text}`);
      button.addEventListener("click", () => this.onStrip(alarm.id));
      row.append(button);
    }
    row.append(when, why);
    this.rows.set(alarm.id, row);
    return row;
  }
}
