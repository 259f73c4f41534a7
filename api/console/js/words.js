/**
 * What the console calls things: stars and words stand beside every colour, so that colour is never the only sign.
 *
 * @typedef {"high"|"medium"|"low"|"technical"} Priority
 */

/** The lead names by the index that wave frames carry. */
export const LEADS = Object.freeze(["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]);

/** The two leads that a wall shows unless they are off. */
const USUAL = Object.freeze(["II", "V1"]);
/** What each slot shows, in the order of preference: limb leads above, chest leads below. */
const SLOTS = Object.freeze([
  ["II", "I", "III", "aVF", "aVL", "V5", "V6", "V4", "V3", "V2", "V1", "aVR"],
  ["V1", "V2", "V5", "V6", "V4", "V3", "II", "I", "III", "aVF", "aVL", "aVR"],
]);

/** @type {Readonly<Record<Priority, number>>} Highest first. */
export const RANK = Object.freeze({ high: 0, medium: 1, low: 2, technical: 3 });

/** @type {Readonly<Record<Priority, string>>} */
export const STARS = Object.freeze({ high: "***", medium: "**", low: "*", technical: "" });

/** @type {Readonly<Record<Priority, string>>} */
export const PRIORITY_WORD = Object.freeze({ high: "HIGH", medium: "MEDIUM", low: "LOW", technical: "INOP" });

/** @type {Readonly<Record<string, string>>} */
const CONNECTION_WORD = Object.freeze({
  live: "LIVE",
  offline: "OFFLINE",
  behind: "BEHIND",
  unserved: "NOT ANALYSED",
});

/**
 * @param {string} connection what the server says of the bed, or "unreported" where it stopped naming the bed
 * @returns {string}
 */
export function connectionWord(connection) {
  return CONNECTION_WORD[connection] ?? "NO STATUS";
}

/**
 * The rate as it may be shown: a number only while it is measured on a usable signal and is fresh.
 *
 * @param {{connection: string, usable?: boolean|null, hr_bpm?: number|null}} bed
 * @returns {string} digits, `-?-` where it cannot be told, `---` where nothing arrives
 */
export function rateText(bed) {
  if (bed.connection === "behind") return "-?-";
  if (bed.connection !== "live") return "---";
  if (!bed.usable || bed.hr_bpm === null || bed.hr_bpm === undefined) return "-?-";
  return String(Math.round(bed.hr_bpm));
}

/**
 * One short line on the signal: the leads on screen, and the usual ones that had to be replaced, where they are not
 * good; or that nothing can be judged by.
 *
 * @param {{connection: string, usable?: boolean|null, quality?: Record<string, string>}} bed
 * @param {readonly string[]} shown lead names on screen
 * @returns {{text: string, good: boolean}}
 */
export function qualityText(bed, shown) {
  if (bed.connection !== "live" && bed.connection !== "behind") return { text: "signal unknown", good: false };
  const quality = bed.quality ?? {};
  if (!bed.usable) return { text: "NOT USABLE", good: false };
  const told = [...new Set([...USUAL, ...shown])];
  const poor = told.filter((lead) => !["good", "missing", undefined].includes(quality[lead]));
  if (poor.length > 0) return { text: poor.map((lead) => `${lead} ${quality[lead]}`).join(", "), good: false };
  return { text: "signal good", good: true };
}

/**
 * The leads to draw, one per slot: II above V1; where one of them is off, its nearest kin takes its place.
 *
 * @param {(lead: string) => boolean} there whether the lead is measured
 * @param {number} count how many there is room for
 * @returns {number[]} lead indices; fewer where fewer are measured
 */
export function pickLeads(there, count) {
  /** @type {string[]} */
  const picked = [];
  for (const order of SLOTS.slice(0, count)) {
    const lead = order.find((name) => there(name) && !picked.includes(name));
    if (lead !== undefined) picked.push(lead);
  }
  return picked.map((name) => LEADS.indexOf(name));
}

/** @param {string} bed @returns {string} how the bed is called: a bare number would pass for a measurement */
export function bedLabel(bed) {
  return /^\d+$/.test(bed) ? `Bed ${bed}` : bed;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

/** @param {number} ms Unix milliseconds @returns {string} local time of day, `14:03:27` */
export function clockText(ms) {
  return CLOCK.format(ms);
}

/** @param {number} ms a duration @returns {string} `0:07`, `12:30`, `3:05:00` */
export function elapsedText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** @param {number} ms a duration @returns {string} `45 s`, `1 min 50 s`, from ten minutes on `12 min`, `1 h 05 min` */
export function durationText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60 || seconds >= 600 || seconds % 60 === 0) return ageText(ms);
  return `${ageText(ms)} ${seconds % 60} s`;
}

/** @param {number} ms how long something lasts already @returns {string} `45 s`, `2 min`, `1 h 05 min` */
export function ageText(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}

/** @param {Element} element @param {string} text Writes only what changed: an equal write would still cost a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
