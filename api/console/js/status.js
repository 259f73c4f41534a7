/** What the page says of the service: the line on top, the clock, the notice that nobody can miss, and the gate. */

import { clockText, elapsedText, setText } from "./words.js";

/** @param {string} id @returns {HTMLElement} */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

export class ServiceStatus {
  constructor() {
    this.lostSince = 0;
    /** @type {"connecting"|"live"|"lost"} */
    this.connection = "connecting";
    this.cacheDown = false;
  }

  /** @param {string} reason @param {number} now Unix milliseconds */
  lose(reason, now) {
    if (this.connection !== "lost" || this.lostSince === 0) this.lostSince = now;
    this.connection = "lost";
    document.body.dataset.connection = "lost";
    setText(part("lost-title"), "NO CONNECTION TO THE SERVER");
    setText(part("lost-advice"), "Nothing on this wall is live. Alarms do not arrive. Watch the bedside monitors.");
    this.detail = reason;
    part("lost").hidden = false;
    setText(part("service"), "No connection");
    this.tick(now);
  }

  /** The server is there. */
  restore() {
    this.connection = "live";
    this.lostSince = 0;
    document.body.dataset.connection = "live";
    part("lost").hidden = !this.cacheDown;
  }

  /** @param {import("./feed.js").Status} status @param {number} now Unix milliseconds */
  show(status, now) {
    const { service, beds } = status;
    const down = service.cache !== "up";
    if (down && !this.cacheDown) {
      this.lostSince = now;
      this.detail = "the server does not reach its store";
      setText(part("lost-title"), "NO LIVE DATA FROM THE SERVER");
      setText(part("lost-advice"), "Rates and alarms do not arrive. Watch the bedside monitors.");
    }
    this.cacheDown = down;
    part("lost").hidden = !down;
    const live = beds.filter((bed) => bed.connection === "live").length;
    const workers = service.workers === 1 ? "1 worker" : `${service.workers} workers`;
    const state = down ? "store down" : service.ready ? "in service" : `NOT READY: ${service.reason}`;
    setText(part("service"), `${live} of ${beds.length} beds live · ${workers} · ${state}`);
    part("service").dataset.ready = String(service.ready && !down);
  }

  /** @param {number} now Unix milliseconds */
  tick(now) {
    setText(part("clock"), clockText(now));
    if (this.lostSince > 0 && !part("lost").hidden) {
      const age = elapsedText(now - this.lostSince);
      setText(part("lost-detail"), `since ${clockText(this.lostSince)} (${age}) · ${this.detail ?? ""} · trying again`);
    }
  }
}

/**
 * A plain screen instead of the wall: without a token nothing may look as if beds were watched.
 *
 * @param {string} title
 * @param {string} advice
 */
export function shutGate(title, advice) {
  setText(part("gate-title"), title);
  setText(part("gate-advice"), advice);
  part("gate").hidden = false;
  for (const other of document.body.children) if (other.id !== "gate") other.setAttribute("inert", "");
  document.body.dataset.connection = "refused";
}
