/** What a strip is drawn from: samples by tiles of ten seconds from the server, AF evidence as the page heard it. */

import { FS } from "./looked.js";

/** Samples in a tile. */
export const TILE = 10 * FS;
/** A tile whose newest seconds had not reached the store is asked for again after this. */
const AGAIN_MS = 2000;
/** Tries for such a tile; what is blank after them was not measured. */
const TRIES = 4;
/** Half-second bins of evidence kept for a bed: ten minutes, twice what the store keeps of the signal. */
const BINS = 1200;
const BIN = FS / 2;

/**
 * @typedef {object} Tile
 * @property {number} first analysis sample index
 * @property {Map<string, Float32Array>} leads µV, NaN where not measured
 * @property {"loading"|"loaded"|"failed"} state
 * @property {number} askedAt performance.now()
 * @property {number} tries
 * @property {boolean} full its last second was there
 */

export class StripTiles {
  /**
   * @param {string} bed
   * @param {number} epoch
   * @param {string} token
   * @param {(problem: string) => void} onTile something new can be drawn; `problem` is empty where all went well
   */
  constructor(bed, epoch, token, onTile) {
    this.bed = bed;
    this.epoch = epoch;
    this.token = token;
    this.onTile = onTile;
    /** @type {Map<number, Tile>} by number */
    this.tiles = new Map();
  }

  /** Asks for what is missing of `[first, end)`. @param {number} first @param {number} end @param {number} now */
  want(first, end, now) {
    for (let n = Math.max(0, Math.floor(first / TILE)); n * TILE < end; n += 1) {
      const tile = this.tiles.get(n);
      const whole = tile !== undefined && (tile.full || tile.tries >= TRIES);
      if (whole || tile?.state === "loading" || (tile !== undefined && now - tile.askedAt < AGAIN_MS)) continue;
      void this.#load(n, tile, now);
    }
  }

  /** @returns {Set<string>} leads of which something was measured */
  get leads() {
    return new Set([...this.tiles.values()].flatMap((tile) => [...tile.leads.keys()]));
  }

  /** @param {number} first @param {number} end @returns {boolean} all of `[first, end)` came, and nothing is in it */
  empty(first, end) {
    const tiles = [...this.tiles.values()].filter((tile) => tile.first < end && tile.first + TILE > first);
    return tiles.length > 0 && tiles.every((tile) => tile.state === "loaded" && tile.leads.size === 0);
  }

  /** @param {number} n @param {Tile|undefined} before @param {number} now */
  async #load(n, before, now) {
    const first = n * TILE;
    /** @type {Tile} */
    const tile = {
      first,
      leads: before?.leads ?? new Map(),
      state: "loading",
      askedAt: now,
      tries: (before?.tries ?? 0) + 1,
      full: false,
    };
    this.tiles.set(n, tile);
    const query = new URLSearchParams({ seconds: String(TILE / FS), end: String(first + TILE), epoch: String(this.epoch) });
    let problem = "";
    try {
      const answer = await fetch(`beds/${encodeURIComponent(this.bed)}/strip?${query}`, {
        headers: { Authorization: `Bearer ${this.token}` },
      });
      // 404: nothing of this epoch is kept any more. That is an answer, and an empty tile.
      if (answer.ok) Object.assign(tile, readTile(await answer.json(), first));
      else if (answer.status !== 404) problem = `the server answers ${answer.status}`;
    } catch (error) {
      problem = String(error);
    }
    tile.state = problem === "" ? "loaded" : "failed";
    this.onTile(problem);
  }
}

/**
 * @param {any} view StripView of api/messages.py
 * @param {number} first
 * @returns {{leads: Map<string, Float32Array>, full: boolean}}
 */
function readTile(view, first) {
  /** @type {Map<string, Float32Array>} */
  const leads = new Map();
  view.leads.forEach((/** @type {string} */ name, /** @type {number} */ row) => {
    const values = view.microvolts[row];
    if (values === null) return;
    const samples = new Float32Array(TILE).fill(NaN);
    values.forEach((/** @type {number|null} */ value, /** @type {number} */ i) => {
      if (value !== null) samples[view.first - first + i] = value;
    });
    leads.set(name, samples);
  });
  const full = [...leads.values()].some((samples) => !Number.isNaN(samples[TILE - 1]));
  return { leads, full };
}

/** @type {WeakMap<Float32Array, Float32Array>} */
const baselines = new WeakMap();

/**
 * The slow baseline of a lead in one tile: the median of each second, joined by straight lines. Strips come unfiltered
 * from the store; a wandering baseline would leave its row.
 *
 * @param {Float32Array} samples one tile
 * @returns {Float32Array} µV at the middle of each second; NaN where nothing was measured
 */
export function baseline(samples) {
  const known = baselines.get(samples);
  if (known !== undefined) return known;
  const found = Float32Array.from({ length: samples.length / FS }, (_, second) => {
    const some = [];
    for (let i = second * FS; i < (second + 1) * FS; i += 5) if (!Number.isNaN(samples[i])) some.push(samples[i]);
    return some.length === 0 ? NaN : some.sort((a, b) => a - b)[some.length >> 1];
  });
  baselines.set(samples, found);
  return found;
}

/** AF evidence of each bed, as the server has said it since the page was opened. */
export class EvidenceBook {
  constructor() {
    /** @type {Map<string, {epoch: number, end: number, bins: Float32Array}>} NaN: never heard */
    this.beds = new Map();
  }

  /** @param {import("./feed.js").BedStatus[]} beds */
  take(beds) {
    for (const { bed, epoch, rhythm } of beds) {
      if (epoch === undefined || rhythm == null || rhythm.evidence_end == null) continue;
      let known = this.beds.get(bed);
      if (known === undefined || known.epoch !== epoch) {
        known = { epoch, end: 0, bins: new Float32Array(BINS).fill(NaN) };
        this.beds.set(bed, known);
      }
      const end = Math.round(rhythm.evidence_end / BIN);
      for (let n = known.end; n < end; n += 1) known.bins[n % BINS] = NaN;
      known.end = Math.max(known.end, end);
      rhythm.evidence.forEach((value, i) => {
        const bin = end - 2 * (rhythm.evidence.length - i);
        for (const n of [bin, bin + 1]) if (n >= 0) /** @type {any} */ (known).bins[n % BINS] = value;
      });
    }
  }

  /**
   * @param {string} bed
   * @param {number} epoch
   * @param {number} sample
   * @returns {number} 0 to 1; -1 where it was not judged, NaN where this page did not hear of it
   */
  at(bed, epoch, sample) {
    const known = this.beds.get(bed);
    const bin = Math.floor(sample / BIN);
    if (known === undefined || known.epoch !== epoch || bin >= known.end || bin < known.end - BINS || bin < 0) return NaN;
    return known.bins[bin % BINS];
  }
}
