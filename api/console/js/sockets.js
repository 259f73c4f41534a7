/**
 * A WebSocket that comes back by itself.
 *
 * States: idle → opening → open → waiting → opening … ; `refused` ends it. A socket that stays silent longer than its
 * owner allows counts as lost: a dead network closes nothing.
 */

const FIRST_WAIT_MS = 250;
/** Nobody waits longer than this for the ward to come back after the server has. */
const MAX_WAIT_MS = 5000;
/** A server that does not answer the handshake within this is not there. */
const OPENING_MS = 4000;
/** Close code by which the server refuses a token. */
export const REFUSED = 4401;

/** @param {number} attempt 0 for the first @param {number} chance 0..1 @returns {number} milliseconds to wait */
export function backoffMs(attempt, chance) {
  // Half of it is chance: sixty consoles must not knock in step when the server is back.
  return Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10)) * (0.5 + 0.5 * chance);
}

/**
 * @typedef {object} SocketPlan
 * @property {() => string} url asked for at each attempt
 * @property {string[]} protocols
 * @property {(data: string|ArrayBuffer) => void} onMessage
 * @property {(reason: string) => void} onDown the socket was lost or could not be opened
 * @property {() => void} onRefused the token is not accepted
 * @property {() => number} silenceMs silence after which an open socket counts as lost
 */

export class LiveSocket {
  /** @param {SocketPlan} plan */
  constructor(plan) {
    this.plan = plan;
    /** @type {WebSocket|null} */
    this.socket = null;
    /** @type {"idle"|"opening"|"open"|"waiting"|"refused"} */
    this.state = "idle";
    this.attempt = 0;
    this.heardAt = 0;
    this.retryAt = 0;
  }

  open() {
    this.state = "opening";
    this.heardAt = performance.now();
    const socket = new WebSocket(this.plan.url(), this.plan.protocols);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.state = "open";
      this.heardAt = performance.now();
    };
    socket.onmessage = (message) => {
      this.heardAt = performance.now();
      this.attempt = 0;
      this.plan.onMessage(message.data);
    };
    socket.onclose = (event) => {
      if (event.code === REFUSED) this.#refuse();
      else this.#lose(event.reason || `the connection broke (${event.code})`);
    };
    this.socket = socket;
  }

  /** Looks at the clock: to be called a few times a second. @param {number} now performance.now() */
  tick(now) {
    if (this.state === "waiting" && now >= this.retryAt) this.open();
    else if (this.state === "opening" && now - this.heardAt > OPENING_MS) this.#lose("the server does not answer");
    else if (this.state === "open" && now - this.heardAt > this.plan.silenceMs()) this.#lose("the server is silent");
  }

  /** Closes and opens again at once, for what was asked has changed. */
  reopen() {
    this.#let();
    this.open();
  }

  /** Closes for good. */
  stop() {
    this.#let();
    this.state = "refused";
  }

  #refuse() {
    this.stop();
    this.plan.onRefused();
  }

  /** @param {string} reason */
  #lose(reason) {
    this.#let();
    this.state = "waiting";
    this.retryAt = performance.now() + backoffMs(this.attempt, Math.random());
    this.attempt += 1;
    this.plan.onDown(reason);
  }

  #let() {
    const socket = this.socket;
    this.socket = null;
    if (socket === null) return;
    // A socket that was given up may still speak: what it says must not mix with its successor's.
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }
}

/** @param {string} path @returns {string} address on the server that the page came from */
export function socketUrl(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
