/** The alarm banner, the alarm list, and what a screen reader is told. */

import { alarmReason } from "./alarms.js";
import { PRIORITY_WORD, RANK, STARS, ageText, bedLabel, clockText, durationText, setText } from "./words.js";

/** Alarms that the banner names, or fewer where they do not fit; the counts beside it say how many there are. */
const IN_BANNER = 3;
/** Ended alarms in the list. */
const ENDED_SHOWN = 60;

/** @typedef {import("./alarms.js").Alarm} Alarm */

/**
 * INOPs that the service states of itself stand in the list beside the alarms of the log.
 *
 * @param {import("./feed.js").BedStatus[]} beds
 * @returns {Alarm[]}
 */
export function inopAlarms(beds) {
  return beds.flatMap((bed) =>
    (bed.inops ?? []).map((inop) => ({
      id: `${bed.bed}/${inop.id}`,
      bed: bed.bed,
      priority: /** @type {const} */ ("technical"),
      state: "active",
      text: inop.text,
      reason: "",
      doubt: "",
      kind: inop.kind,
      since: inop.since_ms,
      ended: null,
      set: [],
      moments: null,
      looks: [],
      round: 0,
    })),
  );
}

/** @param {Alarm[]} alarms @returns {string} `1 HIGH · 2 MEDIUM`, breakable only between the two */
export function countsText(alarms) {
  return /** @type {(keyof typeof RANK)[]} */ (Object.keys(RANK))
    .map((priority) => ({ priority, n: alarms.filter((alarm) => alarm.priority === priority).length }))
    .filter(({ n }) => n > 0)
    .map(({ priority, n }) => `${n}\u00a0${PRIORITY_WORD[priority]}`)
    .join(" · ");
}

/** @param {Alarm} alarm @returns {string} */
function spokenText(alarm) {
  const what = `${bedLabel(alarm.bed)}: ${alarm.text}`;
  if (alarm.ended !== null) return `Ended, ${what}, after ${durationText(alarm.ended - alarm.since)}.`;
  const reason = alarmReason(alarm);
  return `${PRIORITY_WORD[alarm.priority]} alarm, ${what}${reason && `, ${reason}`}.`;
}

export class AlarmBanner {
  /** @param {(bed: string) => void} onPick a person chose an alarm */
  constructor(onPick) {
    const part = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
    this.onPick = onPick;
    this.banner = part("banner-alarms");
    this.calm = part("banner-calm");
    this.counts = part("banner-counts");
    this.activeList = part("list-active");
    this.endedList = part("list-ended");
    this.activeCount = part("active-count");
    this.announcer = part("announcer");
    /** @type {Map<string, {alarm: Alarm, elapsed: HTMLElement}>} rows whose age is counted */
    this.ages = new Map();
  }

  /**
   * @param {Alarm[]} active most urgent first
   * @param {Alarm[]} ended newest first
   * @param {boolean} live whether the server is there
   */
  render(active, ended, live) {
    const focused = /** @type {HTMLElement|null} */ (document.activeElement)?.dataset.row;
    this.ages.clear();
    this.banner.replaceChildren(...active.slice(0, IN_BANNER).map((alarm) => this.#row(alarm, "banner")));
    this.activeList.replaceChildren(...active.map((alarm) => this.#row(alarm, "list")));
    this.endedList.replaceChildren(...ended.slice(0, ENDED_SHOWN).map((alarm) => this.#row(alarm, "ended")));
    setText(this.activeCount, String(active.length));
    setText(this.counts, live ? countsText(active) : "LAST KNOWN");
    for (const flash of this.banner.getAnimations({ subtree: true })) flash.startTime = 0;
    if (focused) /** @type {HTMLElement|null} */ (document.querySelector(`[data-row="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {string} text shown where no alarm stands */
  setCalm(text) {
    setText(this.calm, text);
  }

  /** @param {number} now Unix milliseconds */
  tick(now) {
    for (const { alarm, elapsed } of this.ages.values()) setText(elapsed, ageText(now - alarm.since));
    this.#fit();
  }

  /** Hide the least urgent rather than cut off the time of all. */
  #fit() {
    const items = /** @type {HTMLElement[]} */ ([...this.banner.children]);
    for (const item of items) item.hidden = false;
    const rows = items.map((item) => /** @type {Element} */ (item.firstElementChild));
    while (items.length > 1 && rows.some((row) => row.scrollWidth > row.clientWidth)) {
      /** @type {HTMLElement} */ (items.pop()).hidden = true;
    }
  }

  /** @param {Alarm[]} news alarms that have just begun or were confirmed, and rhythms that have just ended */
  announce(news) {
    setText(this.announcer, news.map(spokenText).join(" "));
  }

  /** @param {Alarm} alarm @param {"banner"|"list"|"ended"} place @returns {HTMLLIElement} */
  #row(alarm, place) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "row";
    button.dataset.priority = alarm.priority;
    button.dataset.row = `${place}/${alarm.id}`;
    button.dataset.bed = alarm.bed;
    button.addEventListener("click", () => this.onPick(alarm.bed));
    const add = (/** @type {string} */ name, /** @type {string} */ text, /** @type {HTMLElement} */ into = button) => {
      const span = document.createElement("span");
      span.className = name;
      span.textContent = text;
      into.append(span);
      return span;
    };
    add("stars", STARS[alarm.priority] || PRIORITY_WORD[alarm.priority]);
    add("bed", bedLabel(alarm.bed));
    add("text", alarm.text);
    const reason = alarmReason(alarm);
    if (reason) add("", reason, add("why", ""));
    if (alarm.ended === null) {
      const when = add("when", "");
      add("said", "since ", when);
      when.append(clockText(alarm.since));
      add("said", ", ", when);
      const elapsed = add("elapsed", "", when);
      this.ages.set(button.dataset.row, { alarm, elapsed });
    } else {
      add("when", `${clockText(alarm.since)}–${clockText(alarm.ended)}, ${durationText(alarm.ended - alarm.since)}`);
    }
    item.append(button);
    return item;
  }
}
