/** The console's front door: wires token, sockets, wall, alarms and sound. */

import { byUrgency } from "./alarms.js";
import { AlarmSound } from "./audio.js";
import { dropToken, isExpired, subprotocols, takeToken } from "./auth.js";
import { AlarmBanner, inopAlarms } from "./banner.js";
import { bindControls } from "./controls.js";
import { AlarmFeed } from "./feed.js";
import { decodeFrame } from "./frames.js";
import { loadSettings } from "./settings.js";
import { BedPanel } from "./panel.js";
import { LiveSocket, socketUrl } from "./sockets.js";
import { AlarmStrip } from "./strip.js";
import { EvidenceBook } from "./strip_data.js";
import { ServiceStatus, shutGate } from "./status.js";
import { Wall } from "./wall.js";
import { setText } from "./words.js";

/** The page looks at its clocks this often; far below the two seconds after which a trace counts as old. */
const TICK_MS = 250;
/** Our reading of the server's clock is late by as long as its message took; a refusal this near the end is the end. */
const CLOCK_DOUBT_MS = 3000;
const HOW_TO_GET_IN = "Open the console by the link that the server printed when it started; it ends in #token=…";

/** @param {string} token */
function watch(token) {
  const settings = loadSettings();
  const status = new ServiceStatus();
  const sound = new AlarmSound((on) => showSound(on));
  const wall = new Wall(
    /** @type {HTMLElement} */ (document.getElementById("wall")),
    settings,
    (note) => setText(/** @type {HTMLElement} */ (document.getElementById("scale-note")), note),
    (bed) => openPanel(bed),
  );
  const panel = new BedPanel(
    (bed, before) => {
      strip.close();
      wall.markOpen(bed);
      if (bed === null && before !== null) wall.focusBed(before);
    },
    (id) => {
      const alarm = alarmOf(id);
      if (strip.alarm?.id === id) strip.close();
      else if (alarm !== undefined) strip.open(alarm);
    },
  );
  const evidence = new EvidenceBook();
  const strip = new AlarmStrip({ settings, token, evidence, onTurn: (alarm) => panel.list.mark(alarm) });
  const alarmOf = (/** @type {string} */ id) =>
    feed.book.standing.get(id) ?? feed.book.ended.find((alarm) => alarm.id === id);
  const openPanel = (/** @type {string} */ bed) => {
    panel.open(bed);
    showPanel();
  };
  const showPanel = () => {
    const sector = panel.bed === null ? undefined : wall.sectors.get(panel.bed);
    if (sector === undefined) return;
    const ended = feed.book.ended.filter((alarm) => alarm.bed === sector.bed);
    panel.show(sector.known ? sector.status : null, sector.alarms, ended, feed.now());
    const shown = strip.alarm === null ? undefined : alarmOf(strip.alarm.id);
    if (shown !== undefined) strip.update(shown);
  };
  const banner = new AlarmBanner((bed) => wall.focusBed(bed));
  /** @type {import("./alarms.js").Alarm[]} */
  let inops = [];
  /** @type {import("./alarms.js").Alarm[]} */
  let news = [];
  let dirty = true;

  const feed = new AlarmFeed({
    protocols: subprotocols(token),
    onStatus: (message) => {
      status.show(message, feed.now());
      wall.setConnected(message.service.cache === "up");
      wall.setStatus(message.beds);
      evidence.take(message.beds);
      inops = inopAlarms(message.beds);
      dirty = true;
    },
    onNews: (alarm) => {
      news.push(alarm);
      dirty = true;
    },
    onUp: () => {
      status.restore();
      wall.setConnected(true);
      waves.reopen();
      dirty = true;
    },
    onDown: (reason) => {
      status.lose(reason, feed.now());
      wall.setConnected(false);
      inops = [];
      dirty = true;
      void probe(token, refuse);
    },
    onRefused: () => refuse(),
  });

  const waves = new LiveSocket({
    url: () => socketUrl("ws/waves?beds=*"),
    protocols: subprotocols(token),
    // No bed may be sending: silence says nothing here. Each sector watches its own trace.
    silenceMs: () => Infinity,
    onMessage: (data) => wall.hear(decodeFrame(/** @type {ArrayBuffer} */ (data))),
    onDown: () => undefined,
    onRefused: () => refuse(),
  });

  const ticking = setInterval(() => {
    const now = performance.now();
    feed.socket.tick(now);
    if (status.connection === "live") waves.tick(now);
    wall.check();
    status.tick(feed.now());
    banner.tick(feed.now());
    panel.tick(feed.now());
    strip.tick();
    // A hidden tab has no animation frames, and must sound its alarms all the same.
    update();
    sound.tick(now);
  }, TICK_MS);

  const refuse = () => {
    clearInterval(ticking);
    feed.socket.stop();
    waves.stop();
    wall.setConnected(false);
    sound.set(null, false);
    dropToken();
    const expired = isExpired(token, feed.now() + CLOCK_DOUBT_MS);
    shutGate(expired ? "The access token has expired." : "The server does not accept the access token.", HOW_TO_GET_IN);
  };

  const update = () => {
    if (feed.catchingUp || (!dirty && !feed.book.changed)) return;
    dirty = feed.book.changed = false;
    const active = feed.book.active();
    const all = [...active, ...inops].sort(byUrgency);
    wall.setAlarms(active);
    showPanel();
    banner.render(all, feed.book.ended, status.connection === "live");
    banner.tick(feed.now());
    banner.setCalm(calmText(status, wall, all.length));
    const standing = news.filter((alarm) => feed.book.standing.get(alarm.id) === alarm);
    const loud = standing.filter((alarm) => alarm.priority === "high" || alarm.priority === "medium");
    const spoken = [...loud, ...news.filter((alarm) => alarm.ended !== null)];
    if (spoken.length > 0) banner.announce(spoken);
    const top = active[0]?.priority ?? (status.connection === "lost" ? "low" : null);
    sound.set(top, standing.some((alarm) => alarm.priority === top));
    news = [];
  };

  bindControls({
    settings,
    sound,
    relayOut: () => {
      wall.layOut();
      strip.draw();
    },
  });
  const render = () => {
    update();
    requestAnimationFrame(render);
  };
  feed.socket.open();
  render();
}

/** @param {ServiceStatus} status @param {Wall} wall @param {number} alarms @returns {string} */
function calmText(status, wall, alarms) {
  if (alarms > 0) return "";
  if (status.connection === "lost") return "Alarms unknown: no connection";
  if (status.connection === "connecting") return "Connecting to the server…";
  return wall.sectors.size === 0 ? "No bed has sent anything yet" : "No active alarms";
}

/** @param {boolean} on */
function showSound(on) {
  const button = /** @type {HTMLElement} */ (document.getElementById("audio"));
  setText(button, on ? "Audio on" : "AUDIO OFF");
  button.setAttribute("aria-pressed", String(on));
}

/**
 * A handshake that fails does not tell a page why: asks over HTTP whether it is the token.
 *
 * @param {string} token
 * @param {() => void} refuse
 */
async function probe(token, refuse) {
  let answer;
  try {
    answer = await fetch("beds", { headers: { Authorization: `Bearer ${token}` } });
  } catch {
    return; // The server is not there at all, which the wall already says.
  }
  if (answer.status === 401 || answer.status === 403) refuse();
}

addEventListener("hashchange", () => location.reload());
const token = takeToken();
if (token === null) shutGate("No access token.", HOW_TO_GET_IN);
else if (isExpired(token, Date.now())) shutGate("The access token has expired.", HOW_TO_GET_IN);
else watch(token);
