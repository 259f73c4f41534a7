/** What a person set on this screen, kept in the browser. Nothing here is about a patient. */

const KEY = "wardbeat.settings";

/** CSS defines 96 px as one inch; true on few screens, so there is a ruler to set it by. */
const CSS_PX_PER_MM = 96 / 25.4;

/**
 * @typedef {object} Settings
 * @property {number} speed mm/s
 * @property {number} gain mm/mV
 * @property {number} ruler CSS pixels per millimetre of this screen
 * @property {boolean} list whether the alarm list is open
 * @property {boolean} look whether strips show what the network looked at
 */

/** @type {Readonly<Settings>} */
const DEFAULTS = Object.freeze({ speed: 25, gain: 10, ruler: CSS_PX_PER_MM, list: true, look: false });
/** @type {Readonly<Record<string, readonly number[]>>} */
const CHOICES = Object.freeze({ speed: [12.5, 25, 50], gain: [5, 10, 20] });

/**
 * @param {unknown} stored what was in the storage: an older console may have written it
 * @returns {Settings} the stored values that are valid, defaults for the others
 */
export function validSettings(stored) {
  const given = /** @type {Partial<Settings>} */ (typeof stored === "object" && stored !== null ? stored : {});
  const settings = { ...DEFAULTS };
  if (CHOICES.speed.includes(/** @type {number} */ (given.speed))) settings.speed = /** @type {number} */ (given.speed);
  if (CHOICES.gain.includes(/** @type {number} */ (given.gain))) settings.gain = /** @type {number} */ (given.gain);
  if (typeof given.ruler === "number" && given.ruler >= 2 && given.ruler <= 12) settings.ruler = given.ruler;
  if (typeof given.list === "boolean") settings.list = given.list;
  if (typeof given.look === "boolean") settings.look = given.look;
  return settings;
}

/** @returns {Settings} */
export function loadSettings() {
  const text = localStorage.getItem(KEY);
  if (text === null) return { ...DEFAULTS };
  try {
    return validSettings(JSON.parse(text));
  } catch (error) {
    console.warn(`settings ${JSON.stringify(text)} cannot be read and are replaced: ${error}`);
    return { ...DEFAULTS };
  }
}

/** @param {Settings} settings */
export function saveSettings(settings) {
  localStorage.setItem(KEY, JSON.stringify(settings));
}
