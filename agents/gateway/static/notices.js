// Sound and a count in the title at new alerts: only for those who asked for it.

import { t } from "./i18n.js";
import { on, stands, tell } from "./store.js";

const KEPT = "cityvitals.notices";
const LEAST = 2; // from yellow on
let unseen = 0;
let sound = null;
let wasMute = false; // at the last press

export function notices() {
  return localStorage.getItem(KEPT) === "on";
}

export async function turnNotices() {
  if (notices() && wasMute) return; // that press has let the sound out
  localStorage.setItem(KEPT, notices() ? "off" : "on");
  unseen = 0;
  writeTitle();
  tell("notices", notices());
  if (!notices()) return;
  await unlock();
  beep(0);
  tell("notices", true);
}

/** Whether the browser lets no sound out yet: it does so after the first press. */
export function isMute() {
  return sound?.state !== "running";
}

async function unlock() {
  if (!notices()) return;
  if (!sound) {
    sound = new AudioContext();
    sound.addEventListener("statechange", () => tell("notices", notices()));
  }
  if (isMute()) await sound.resume().catch(() => {});
}

/** The name of the view, and how many alerts came since somebody looked. */
export function writeTitle(view = writeTitle.view ?? "") {
  writeTitle.view = view;
  const count = notices() && unseen ? `(${unseen}) ` : "";
  document.title = `${count}${view ? `${view} · ` : ""}${t("title")}`;
}

function beep(level) {
  if (!sound || isMute()) return;
  const tone = sound.createOscillator();
  const volume = sound.createGain();
  tone.frequency.value = 440 + 110 * level;
  volume.gain.setValueAtTime(0.08, sound.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, sound.currentTime + 0.35);
  tone.connect(volume).connect(sound.destination);
  tone.start();
  tone.stop(sound.currentTime + 0.36);
}

function isNews({ alert, before }) {
  const worse = !before || alert.level > before.level || before.state === "cleared";
  const isBack = alert.transition === "unshelved"; // by somebody, or as its time was over
  return (worse || isBack) && alert.level >= LEAST && alert.state === "raised" && !alert.acked && stands(alert);
}

export function watchAlerts() {
  // The first press lets sounds out, and so does one after the system has silenced the page.
  for (const press of ["pointerdown", "keydown"]) {
    addEventListener(press, () => {
      wasMute = isMute();
      if (wasMute) unlock().then(() => tell("notices", notices()));
    }, true);
  }
  on("alert", (change) => {
    if (!notices() || !isNews(change)) return;
    beep(change.alert.level);
    if (document.hidden) unseen += 1;
    writeTitle();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    unseen = 0;
    writeTitle();
  });
}
