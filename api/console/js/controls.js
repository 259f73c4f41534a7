/** The toolbar: speed, gain, ruler, list and sound. Every one a native control, so that a keyboard can do it all. */

import { saveSettings } from "./settings.js";
import { setText } from "./words.js";

/** @param {string} id @returns {HTMLElement} */
const part = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** Length of the bar that a person holds a ruler to, mm. */
const BAR_MM = 50;

/**
 * @param {object} to
 * @param {import("./settings.js").Settings} to.settings
 * @param {import("./audio.js").AlarmSound} to.sound
 * @param {() => void} to.relayOut the wall is to be drawn anew
 */
export function bindControls({ settings, sound, relayOut }) {
  const speed = /** @type {HTMLSelectElement} */ (part("speed"));
  const gain = /** @type {HTMLSelectElement} */ (part("gain"));
  const ruler = /** @type {HTMLInputElement} */ (part("ruler-input"));
  const list = part("list-toggle");
  const audio = part("audio");

  const show = () => {
    speed.value = String(settings.speed);
    gain.value = String(settings.gain);
    ruler.value = String(settings.ruler);
    part("ruler-bar").style.setProperty("width", `${BAR_MM * settings.ruler}px`);
    setText(part("ruler-text"), `${settings.ruler.toFixed(2)} px per mm`);
    document.body.dataset.list = settings.list ? "open" : "closed";
    list.setAttribute("aria-expanded", String(settings.list));
  };
  const change = () => {
    saveSettings(settings);
    show();
    relayOut();
  };

  speed.addEventListener("change", () => {
    settings.speed = Number(speed.value);
    change();
  });
  gain.addEventListener("change", () => {
    settings.gain = Number(gain.value);
    change();
  });
  ruler.addEventListener("input", () => {
    settings.ruler = Number(ruler.value);
    change();
  });
  list.addEventListener("click", () => {
    settings.list = !settings.list;
    change();
  });
  part("ruler").addEventListener("keydown", (event) => {
    if (event.key === "Escape") part("ruler").removeAttribute("open");
  });
  audio.addEventListener("click", () => void sound.toggle());
  for (const gesture of ["pointerdown", "keydown"]) {
    addEventListener(gesture, (event) => {
      // The button decides by itself; unlocking here first would make its click switch off again.
      if (!(event.target instanceof Node && audio.contains(event.target))) void sound.unlock();
    });
  }
  show();
}
