/**
 * The alarm feed: speaks `/ws/alarms`, keeps the book complete over reconnects, and says whether the server is there.
 */

import { AlarmBook, entryNumber } from "./alarms.js";
import { LiveSocket, socketUrl } from "./sockets.js";

/** Heartbeat until the server has said its own. */
const DEFAULT_HEARTBEAT_S = 2;
const MISSED_HEARTBEATS = 2;
/** A reading of the log that is not through at this heartbeat of a connection, two seconds in, is shown as it goes on. */
const READING_HEARTBEATS = 2;

/**
 * @typedef {object} Inop
 * @property {string} id
 * @property {string} kind
 * @property {string} text
 * @property {number} since_ms
 *
 * @typedef {object} BedStatus
 * @property {string} bed
 * @property {string} connection
 * @property {number} [epoch] Unix milliseconds of sample 0
 * @property {number|null} [hr_bpm]
 * @property {boolean|null} [usable]
 * @property {Record<string, string>} [quality]
 * @property {{hr_low: number, hr_high: number}} [limits]
 * @property {Inop[]} [inops]
 * @property {import("./rhythm.js").Rhythm|null} [rhythm] null without a network
 *
 * @typedef {object} Status
 * @property {{cache: string, workers: number, ready: boolean, reason: string}} service
 * @property {BedStatus[]} beds
 *
 * @typedef {object} FeedPlan
 * @property {string[]} protocols
 * @property {(status: Status) => void} onStatus
 * @property {(alarm: import("./alarms.js").Alarm) => void} onNews an alarm that somebody must be told of
 * @property {() => void} onUp
 * @property {(reason: string) => void} onDown
 * @property {() => void} onRefused
 */

export class AlarmFeed {
  /** @param {FeedPlan} plan */
  constructor(plan) {
    this.plan = plan;
    this.book = new AlarmBook();
    this.heartbeatS = DEFAULT_HEARTBEAT_S;
    /** Server's clock minus this machine's, milliseconds. */
    this.clockOffset = 0;
    this.lost = "";
    /** Name of the log that our place is in. @type {string|null} */
    this.log = null;
    /** Newest entry when this connection began: up to there the reading is a catching up. 0 without a connection. */
    this.top = 0;
    /** Heartbeats of this connection. */
    this.heartbeats = 0;
    this.behind = 0;
    /** Entry number up to which we asked again and there was no more to be had. */
    this.askedUpTo = 0;
    this.socket = new LiveSocket({
      url: () => socketUrl(`ws/alarms?${this.#place()}`),
      protocols: plan.protocols,
      silenceMs: () => 1000 * MISSED_HEARTBEATS * this.heartbeatS,
      onMessage: (data) => this.#hear(JSON.parse(/** @type {string} */ (data))),
      onDown: (reason) => {
        const said = this.lost || reason;
        this.lost = "";
        this.top = 0;
        plan.onDown(said);
      },
      onRefused: plan.onRefused,
    });
  }

  /** @returns {string} where to go on in which log */
  #place() {
    // An entry id without the name of its log is worth nothing: read all, the book knows every event again.
    if (this.log === null) return "since=0";
    return new URLSearchParams({ since: this.book.last, log: this.log }).toString();
  }

  /** @returns {boolean} whether the past is still being read: what stands is not known yet */
  get catchingUp() {
    return this.heartbeats < READING_HEARTBEATS && entryNumber(this.book.last) < this.top;
  }

  /** @returns {number} Unix milliseconds by the server's clock */
  now() {
    return Date.now() + this.clockOffset;
  }

  /** @param {any} message */
  #hear(message) {
    if (typeof message.server_time === "number") this.clockOffset = message.server_time - Date.now();
    switch (message.type) {
      case "hello":
        this.#begin(message);
        break;
      case "alarm": {
        const news = this.book.take(message.id, message.event);
        // What ended before this connection began is no news.
        const old = news !== null && news.ended !== null && entryNumber(message.id) <= this.top;
        if (news !== null && !old) this.plan.onNews(news);
        break;
      }
      case "status":
        this.plan.onStatus(message);
        break;
      case "heartbeat":
        this.heartbeats += 1;
        this.#compare(message.last_id);
        break;
      case "bye":
        this.lost = `server says: ${message.reason}`;
        break;
      default:
        throw new TypeError(`unknown message type ${JSON.stringify(message.type)} on /ws/alarms`);
    }
  }

  /** @param {any} hello */
  #begin(hello) {
    this.heartbeatS = hello.heartbeat_s;
    this.behind = this.heartbeats = 0;
    this.top = entryNumber(hello.top);
    if (hello.log !== null) {
      // Entry ids of another log mean other events; the server then sends all of the new one by itself.
      if (this.log !== hello.log) this.#forgetPlace();
      this.log = hello.log;
    }
    if (hello.truncated && entryNumber(this.book.last) > 0) {
      // What was cut off may have ended an alarm that stands here, or begun one: only a full reading tells.
      this.#forgetPlace();
      this.socket.reopen();
      return;
    }
    this.plan.onUp();
  }

  #forgetPlace() {
    this.book.reread();
    this.askedUpTo = 0;
  }

  /**
   * Compares our place in the log with what the server sent last. A later one there, at two heartbeats running, means
   * that something was missed: ask again, once.
   *
   * @param {string|null} lastId
   */
  #compare(lastId) {
    const theirs = entryNumber(lastId);
    const ours = entryNumber(this.book.last);
    if (ours >= this.top) this.book.settle();
    if (theirs <= Math.max(ours, this.askedUpTo)) {
      this.behind = 0;
      return;
    }
    this.behind += 1;
    if (this.behind < 2) return;
    this.askedUpTo = theirs;
    this.socket.reopen();
  }
}
