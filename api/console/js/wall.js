/** The wall: every bed on one screen, laid out anew whenever beds or the window change. */

import { chooseGrid } from "./layout.js";
import { BedSector } from "./sector.js";
import { drawGrid, fittedPxPerMm } from "./sweep.js";

/** A slot lower than this shows no readable complex: then one lead takes the sector. CSS pixels. */
const MIN_SLOT = 24;
/** After a pause longer than this (a hidden tab) the index clocks jump by themselves. */
const LONGEST_STEP_MS = 1000;

const naturally = new Intl.Collator("en", { numeric: true });

export class Wall {
  /**
   * @param {HTMLElement} element
   * @param {import("./settings.js").Settings} settings
   * @param {(note: string) => void} onScale says how the drawn scale compares with the true one
   * @param {(bed: string) => void} onOpen a person wants to see more of a bed
   */
  constructor(element, settings, onScale, onOpen) {
    this.element = element;
    this.settings = settings;
    this.onScale = onScale;
    this.onOpen = onOpen;
    /** @type {Map<string, BedSector>} */
    this.sectors = new Map();
    this.connected = false;
    this.drawnAt = 0;
    new ResizeObserver(() => this.layOut()).observe(element);
    element.addEventListener("keydown", (event) => this.#walk(event));
    element.addEventListener("click", (event) => {
      const sector = event.target instanceof Element ? event.target.closest("bed-sector") : null;
      if (sector instanceof BedSector) onOpen(sector.bed);
    });
    requestAnimationFrame((now) => this.#frame(now));
  }

  /** @param {string} bed @returns {BedSector} */
  sector(bed) {
    const known = this.sectors.get(bed);
    if (known !== undefined) return known;
    const sector = /** @type {BedSector} */ (document.createElement("bed-sector"));
    sector.setUp(bed);
    this.sectors.set(bed, sector);
    const order = [...this.sectors.keys()].sort(naturally.compare);
    const next = order[order.indexOf(bed) + 1];
    this.element.insertBefore(sector, next === undefined ? null : this.sectors.get(next) ?? null);
    this.element.querySelectorAll("bed-sector").forEach((each, i) => /** @type {BedSector} */ (each).tabIndex = i ? -1 : 0);
    // Many beds come at once on the first status: lay out once, after the last of them.
    if (this.pending === undefined) this.pending = requestAnimationFrame(() => this.layOut());
    return sector;
  }

  /** @param {import("./frames.js").WaveFrame} frame */
  hear(frame) {
    if (this.connected) this.sector(frame.bed).hear(frame, performance.now());
  }

  /** @param {import("./feed.js").BedStatus[]} beds A bed that is no longer named stays, and says that it has no status. */
  setStatus(beds) {
    const named = new Map(beds.map((bed) => [bed.bed, bed]));
    for (const bed of named.keys()) this.sector(bed);
    for (const [bed, sector] of this.sectors) sector.setStatus(named.get(bed) ?? null);
  }

  /** @param {import("./alarms.js").Alarm[]} alarms most urgent first */
  setAlarms(alarms) {
    /** @type {Map<string, import("./alarms.js").Alarm[]>} */
    const perBed = new Map();
    for (const alarm of alarms) {
      this.sector(alarm.bed);
      perBed.set(alarm.bed, [...(perBed.get(alarm.bed) ?? []), alarm]);
    }
    for (const [bed, sector] of this.sectors) sector.setAlarms(perBed.get(bed) ?? []);
  }

  /** @param {boolean} connected */
  setConnected(connected) {
    this.connected = connected;
    if (!connected) for (const sector of this.sectors.values()) sector.setStatus(null);
    this.check();
  }

  /** To be called a few times a second. */
  check() {
    const now = performance.now();
    for (const sector of this.sectors.values()) sector.check(now, this.connected);
  }

  layOut() {
    this.pending = undefined;
    const count = this.sectors.size;
    if (count === 0) return;
    const style = getComputedStyle(this.element);
    const padding = 2 * parseFloat(style.paddingLeft);
    const room = this.element.getBoundingClientRect();
    const cells = chooseGrid(count, room.width - padding, room.height - padding);
    this.element.style.setProperty("grid-template-columns", `repeat(${cells.columns}, ${cells.cellWidth}px)`);
    this.element.style.setProperty("grid-auto-rows", `${cells.cellHeight}px`);
    this.#fit(style);
  }

  /** @param {CSSStyleDeclaration} style */
  #fit(style) {
    const ratio = devicePixelRatio;
    const [first] = this.sectors.values();
    const { width, height } = first.room;
    if (width < 1 || height < 1) return;
    const slots = height / 2 >= MIN_SLOT ? 2 : 1;
    const cssPxPerMm = fittedPxPerMm(height / slots, this.settings.ruler);
    const scale = { pxPerMm: cssPxPerMm * ratio, speed: this.settings.speed, gain: this.settings.gain, ratio };
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name);
    const grid = drawGrid(Math.round(width * ratio), Math.round(height * ratio), scale.pxPerMm, {
      ground: ink("--trace-ground"),
      minor: ink("--grid-minor"),
      major: ink("--grid-major"),
    });
    for (const sector of this.sectors.values()) sector.fit(grid, scale, slots, ink("--trace"));
    this.onScale(`${Math.round((100 * cssPxPerMm) / this.settings.ruler)} %`);
  }

  /** @param {number} now */
  #frame(now) {
    const elapsed = Math.min(LONGEST_STEP_MS, now - this.drawnAt);
    this.drawnAt = now;
    for (const sector of this.sectors.values()) sector.draw(elapsed);
    requestAnimationFrame((next) => this.#frame(next));
  }

  /** Arrow keys walk over the beds, Enter opens one. @param {KeyboardEvent} event */
  #walk(event) {
    const order = /** @type {BedSector[]} */ ([...this.element.querySelectorAll("bed-sector")]);
    const at = order.indexOf(/** @type {BedSector} */ (document.activeElement));
    if (at < 0) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onOpen(order[at].bed);
      return;
    }
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const steps = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns });
    const target = event.key === "Home" ? 0 : event.key === "End" ? order.length - 1 : at + (steps[event.key] ?? 0);
    if (target === at || order[target] === undefined) return;
    event.preventDefault();
    this.focusBed(order[target].bed);
  }

  /** @param {string|null} bed the one whose panel is open */
  markOpen(bed) {
    for (const sector of this.sectors.values()) sector.setAttribute("aria-expanded", String(sector.bed === bed));
  }

  /** @param {string} bed */
  focusBed(bed) {
    for (const sector of this.sectors.values()) sector.tabIndex = sector.bed === bed ? 0 : -1;
    this.sectors.get(bed)?.focus();
  }
}
