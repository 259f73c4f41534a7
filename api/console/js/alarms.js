/** The book of alarms: events in, what stands now out. No page, no clock. */

import { certaintyText } from "./rhythm.js";
import { RANK } from "./words.js";

/** Ended alarms that are kept for the list. */
const KEEP_ENDED = 200;
/** Event ids remembered against a second arrival; far more than a reconnect can repeat. */
const KEEP_SEEN = 20000;
const MS_PER_SAMPLE = 2;
/** These speak at their end too (Drew 2014). */
const SPEAK_AT_END = Object.freeze(["af", "flutter"]);

/**
 * @typedef {object} AlarmEvent as it stands in the log, see alarms/alarm.py
 * @property {string} id
 * @property {string} event
 * @property {string} bed
 * @property {number} epoch
 * @property {string} kind
 * @property {import("./words.js").Priority} priority
 * @property {string} phase
 * @property {"active"|"latched"|"inactive"} state
 * @property {number} onset
 * @property {number} at
 * @property {string} text
 * @property {string} [reason] events of the time before the network have none of these three
 * @property {string[]} [prediction_set]
 * @property {number|null} [offset]
 * @property {Record<string, number[]>} [saliency] lead → Grad-CAM of the ten seconds before `at`, per cent of the largest
 * @property {Record<string, number>} [attention] kind of feature → per cent
 * @property {Record<string, number[]>} [attention_by_second] the same in each of the ten seconds; events of before have none
 *
 * @typedef {object} Look what the network looked at when it told an alarm, or when it was sure
 * @property {"told"|"confirmed"} when
 * @property {number} at analysis sample index at which it was decided
 * @property {Record<string, number[]>} saliency
 * @property {Record<string, number>} attention
 * @property {Record<string, number[]>} bySecond the same in each of the ten seconds, oldest first; empty where it was not told
 *
 * @typedef {object} Alarm
 * @property {string} id
 * @property {string} bed
 * @property {string} kind
 * @property {import("./words.js").Priority} priority
 * @property {string} state
 * @property {string} text
 * @property {string} reason why, in words; empty where no network judged
 * @property {string} doubt what else it may be; empty likewise, or where nothing else is possible
 * @property {number} since Unix milliseconds of the onset
 * @property {number|null} ended Unix milliseconds, null while it stands
 * @property {string[]} set rhythms that could not be ruled out; empty where no network judged
 * @property {Moments|null} moments where on the strip; null for what the service states of itself
 * @property {Look[]} looks
 * @property {number} round the reading of the log in which it was last named
 */

/**
 * @typedef {object} Moments analysis sample indices (500 Hz)
 * @property {number} epoch Unix milliseconds of sample 0
 * @property {number} onset
 * @property {number} told the first word on it
 * @property {number|null} confirmed
 * @property {number|null} offset end of the condition
 * @property {number} last the newest event
 */

/** @param {string|null} id entry id `58-0` @returns {number} 58; 0 before the first */
export function entryNumber(id) {
  return id === null ? 0 : Number.parseInt(id, 10) || 0;
}

/** @param {Alarm} alarm @returns {string} what else it may be and why it was raised; empty where no network judged */
export function alarmReason(alarm) {
  return [alarm.doubt, alarm.reason].filter(Boolean).join(" · ");
}

/** @param {Alarm} a @param {Alarm} b Highest priority first, the newest first among equals. */
export function byUrgency(a, b) {
  return RANK[a.priority] - RANK[b.priority] || b.since - a.since || a.bed.localeCompare(b.bed);
}

/** @param {Look[]} before @param {AlarmEvent} event @returns {Look[]} only the first word and the confirmation bring one */
function looksAfter(before, event) {
  const { saliency = {}, attention = {}, attention_by_second: bySecond = {}, at, phase } = event;
  if (Object.keys(saliency).length === 0) return before;
  const when = phase === "escalate" ? "confirmed" : "told";
  return [...before.filter((look) => look.when !== when), { when, at, saliency, attention, bySecond }]; // a log is read twice
}

export class AlarmBook {
  constructor() {
    /** @type {Map<string, Alarm>} */
    this.standing = new Map();
    /** @type {Alarm[]} newest first */
    this.ended = [];
    /** @type {Set<string>} */
    this.seen = new Set();
    /** Entry id to resume from. */
    this.last = "0";
    this.round = 0;
    this.changed = true;
  }

  /**
   * @param {string} entry entry id in the log
   * @param {AlarmEvent} event
   * @returns {Alarm|null} the alarm, if somebody must be told: it is new, more urgent, confirmed, or a rhythm's end
   */
  take(entry, event) {
    if (entryNumber(entry) > entryNumber(this.last)) this.last = entry;
    const known = this.standing.get(event.id);
    if (known !== undefined) known.round = this.round;
    if (this.seen.has(event.event)) return null;
    this.#remember(event.event);
    this.changed = true;

    const ended = event.phase === "end" || event.state === "inactive";
    const before = known ?? null;
    const alarm = {
      id: event.id,
      bed: event.bed,
      kind: event.kind,
      priority: event.priority,
      state: event.state,
      text: event.text,
      reason: event.reason ?? "",
      doubt: certaintyText(event.prediction_set ?? [], event.kind),
      since: event.epoch + MS_PER_SAMPLE * event.onset,
      ended: ended ? event.epoch + MS_PER_SAMPLE * (event.offset ?? event.at) : null,
      set: event.prediction_set ?? [],
      moments: {
        epoch: event.epoch,
        onset: event.onset,
        told: before?.moments?.told ?? event.at,
        confirmed: event.phase === "escalate" ? event.at : before?.moments?.confirmed ?? null,
        offset: ended ? event.offset ?? event.at : null,
        last: event.at,
      },
      looks: looksAfter(before?.looks ?? [], event),
      round: this.round,
    };
    if (ended) {
      this.standing.delete(event.id);
      this.ended.unshift(alarm);
      this.ended.length = Math.min(this.ended.length, KEEP_ENDED);
      return known !== undefined && SPEAK_AT_END.includes(event.kind) ? alarm : null;
    }
    this.standing.set(event.id, alarm);
    const more = known === undefined || RANK[event.priority] < RANK[known.priority];
    return more || event.phase === "escalate" ? alarm : null;
  }

  /**
   * Another log took the place of ours, or ours has a gap: read from the beginning, and hold what stands until the new
   * reading is through.
   */
  reread() {
    this.last = "0";
    this.round += 1;
    this.seen.clear();
    this.ended = [];
    this.changed = true;
  }

  /** The new reading is through: what it did not name stands no more. */
  settle() {
    for (const [id, alarm] of this.standing) {
      if (alarm.round !== this.round) {
        this.standing.delete(id);
        this.changed = true;
      }
    }
  }

  /** @returns {Alarm[]} what stands, most urgent first */
  active() {
    return [...this.standing.values()].sort(byUrgency);
  }

  /** @param {string} event */
  #remember(event) {
    this.seen.add(event);
    if (this.seen.size > KEEP_SEEN) this.seen.delete(/** @type {string} */ (this.seen.values().next().value));
  }
}
