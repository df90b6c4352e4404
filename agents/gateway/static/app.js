// The page: session, catalogue, navigation by the address, and the frame around the views.

import { get, login, onRefused } from "./api.js";
import { h } from "./dom.js";
import { setLanguage, lang, setZone, t } from "./i18n.js";
import { Frame } from "./frame.js";
import { watchHour } from "./lasthour.js";
import { keepTables } from "./levels.js";
import { watchAlerts, writeTitle, notices } from "./notices.js";
import { forgetTrends, extendTrend } from "./spark.js";
import { city, on, signs, takeStatus } from "./store.js";
import { connect, disconnect, follow, pause, resume } from "./stream.js";
import { applyTheme, followSystem } from "./theme.js";
import { alertsView } from "./views/alerts.js";
import { cityView } from "./views/city.js";
import { engineView } from "./views/engine.js";
import { hotlineView } from "./views/hotline.js";
import { loginView } from "./views/login.js";
import { placeView } from "./views/place.js";
import { sensingView } from "./views/sensing.js";
import { signView } from "./views/sign.js";

const VIEWS = {
  city: cityView,
  place: placeView,
  sign: signView,
  alerts: alertsView,
  hotline: hotlineView,
  sensing: sensingView,
  engine: engineView,
};

const HIDDEN = 60000; // for so long nobody sees the window before it gives its connection back

const root = document.getElementById("page");
let hiding = null;
let frame = null;
let view = null;
let connected = false;
let atDoor = false;

/** `#/sign/a/b/c` as ["sign", "a", "b", "c"]; without any, the city. */
function route() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
  return parts[0] in VIEWS ? parts : ["city"];
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Shows the view of the address; within one view the view may follow by itself. */
function show() {
  const [name, ...parameters] = route();
  if (view?.name === name && view.turn?.(parameters)) return;
  leave();
  frame.choose(name);
  view = VIEWS[name](parameters, show);
  view.name = name;
  frame.fill(view.node);
  follow(view.signs ?? null);
  writeTitle(view.title);
  scrollTo(0, 0);
}

function leave() {
  view?.end();
  view = null;
  forgetTrends();
}

/** Everything anew, such as in another language. */
function again() {
  leave();
  frame?.end();
  frame = new Frame({ again, leave: logIn });
  root.replaceChildren(frame.node);
  show();
}

async function readCity() {
  const [session, catalogue, places, status] = await Promise.all(["/session", "/catalogue", "/places", "/accounting"].map((one) => get(one)));
  takeStatus(status); // tells the city's time, by which views ask for what was before
  city.session = session;
  setZone(session.city.time_zone);
  for (const one of places.places) city.places.set(one.code, one);
  const { place, zh, en } = session.city;
  city.places.set(place, { code: place, level: "city", zh, en });
  for (const [known, list] of [[city.signs, catalogue.signs], [city.incidents, catalogue.incidents], [city.overlays, catalogue.overlays]]) {
    for (const one of list ?? []) known.set(one.id, one);
  }
  keepTables(catalogue.tables);
}

function logIn() {
  if (atDoor) return; // several requests are refused at once
  atDoor = true;
  leave();
  frame?.end();
  frame = null;
  if (connected) disconnect();
  connected = false;
  writeTitle(t("login.title"));
  root.replaceChildren(loginView(start));
}

async function start() {
  try {
    await readCity();
  } catch (refusal) {
    if (refusal.status === 401) return; // the way to the log-in was taken
    const retry = h("button", { type: "button", onclick: start }, t("error.retry"));
    root.replaceChildren(h("main", { class: "alone" }, h("p", { role: "alert" }, refusal.say?.() ?? String(refusal)), retry));
    return;
  }
  atDoor = false;
  connect((gap) => frame?.gap(gap));
  connected = true;
  again();
}

/** The token in the address is given up for a session at once, and does not stay in the history. */
async function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", `${location.pathname}#/city`);
  await login(decoded(found[1])).catch(() => {});
}

applyTheme();
followSystem(() => frame && again()); // charts are drawn in the theme's colours
setLanguage(lang());
writeTitle();
watchAlerts();
watchHour();
onRefused(logIn);
on("signs", (changed) => changed.forEach((id) => extendTrend(signs.get(id))));
addEventListener("hashchange", async () => {
  await takeToken();
  if (frame) show();
});
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (!document.hidden && connected) resume();
  if (document.hidden) hiding = setTimeout(() => connected && pause(notices()), HIDDEN);
});
await takeToken();
await start();
