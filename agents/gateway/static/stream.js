// Server-sent events: one stream a window, for the signs of its view, all alerts and the engine's state.
// Another view opens another stream, which goes on after the last transition that was seen.
// A window that is one too many for the browser asks now and then instead.

import { address, get, LONGEST_ANSWER } from "./api.js";
import { giveSlot, takeSlot } from "./slots.js";
import { alerts, heard, now, takeAlert, takeAlerts, takeConnection, takeSigns, takeStatus } from "./store.js";

const SILENT = 6000; // a status comes each second
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 10000;
const POLL = 5000;
const MOST_ALERTS = 5000;
const MOST_CLEARED = 1000;
const HOUR = 3600000;

let source = null;
let opened = ""; // address of the stream, without where it went on
let openedAt = 0;
let seen = null; // number of the last transition that came
let wanted = null;
let isOn = false;
let isHidden = false;
let isPaused = false;
let turn = 0;
let wait = FIRST_WAIT;
let timer = null;
let watch = null;
let missed = () => {};

async function readAlerts() {
  const [standing, cleared] = await Promise.all([
    get("/alerts", { state: "standing", limit: MOST_ALERTS }),
    get("/alerts", { state: "cleared", limit: MOST_CLEARED }),
  ]);
  takeAlerts([...cleared.items, ...standing.items]);
}

function resync() {
  return readAlerts().catch(() => {});
}

/** What the stream is asked for; a hidden window that makes sounds needs no signs. */
function asked() {
  const choice = isHidden ? null : wanted;
  return { what: [...(choice ? ["signs"] : []), "alerts", "status"], alerts: "all", ...choice };
}

const HEAR = {
  hello: (data) => {
    takeConnection("live");
    if (!data.resumed) resync();
  },
  signs: takeSigns,
  alert: takeAlert,
  status: takeStatus,
  gap: (data) => {
    missed(data);
    resync();
  },
  bye: () => takeConnection("lost"),
};

function close() {
  turn += 1;
  clearTimeout(timer);
  source?.close();
  source = null;
  opened = "";
}

async function open() {
  close();
  const mine = turn;
  const mayHold = await takeSlot();
  if (mine !== turn) {
    if (!isOn) giveSlot();
    return;
  }
  if (!mayHold) {
    await poll(mine);
    return;
  }
  const parameters = asked();
  opened = address("/stream", parameters);
  openedAt = Date.now();
  const one = new EventSource(address("/stream", { ...parameters, last_event_id: seen }));
  source = one;
  for (const [name, take] of Object.entries(HEAR)) {
    one.addEventListener(name, (event) => {
      if (one !== source) return;
      wait = FIRST_WAIT;
      heard();
      if (event.lastEventId) seen = event.lastEventId;
      take(JSON.parse(event.data));
    });
  }
  one.addEventListener("error", () => one === source && broken());
}

/** Says so at once, and opens the stream anew after a while, longer each time. */
function broken() {
  takeConnection("lost");
  close();
  timer = setTimeout(async () => {
    const mine = turn;
    // Tells a closed session (401, which leads to the log-in) from a gateway that is away.
    const answers = await get("/session").then(() => true, () => false);
    if (mine !== turn) return;
    if (answers) open();
    else broken();
  }, wait);
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

/** Asks once for what a stream would have told; the next time there may be room for one. */
async function poll(mine) {
  const newest = Math.max(0, ...[...alerts.values()].map((one) => one.t_update));
  const since = { state: "all", since: Math.max(0, newest - HOUR), order: "newest", limit: MOST_CLEARED };
  try {
    const [status, told, moved] = await Promise.all([
      get("/accounting"),
      wanted && !isHidden ? get("/signs", wanted) : null,
      newest ? get("/alerts", since) : readAlerts(),
    ]);
    if (mine !== turn) return;
    heard();
    takeStatus(status);
    if (told) takeSigns(told.items);
    for (const alert of moved?.items.reverse() ?? []) {
      if (alerts.get(alert.alert_id)?.t_update !== alert.t_update) takeAlert(alert);
    }
    takeConnection("polled");
  } catch {
    if (mine !== turn) return;
    takeConnection("lost");
  }
  timer = setTimeout(open, POLL);
}

/** Lets the page be told, from the next `follow` on; `gap` hears what it missed. */
export function connect(gap) {
  missed = gap;
  isOn = true;
  isHidden = isPaused = false;
  watch = setInterval(() => {
    if (!source) return;
    // A connection that is open and says nothing, or that does not come about.
    const isSilent = now.connection === "live" ? Date.now() - now.heard > SILENT : Date.now() - openedAt > LONGEST_ANSWER;
    if (isSilent) broken();
  }, 1000);
}

export function disconnect() {
  isOn = false;
  clearInterval(watch);
  close();
  giveSlot();
  seen = null;
}

/** The signs that the view wants; null for none. */
export function follow(parameters) {
  wanted = parameters;
  if (isPaused) return;
  if (!source || opened !== address("/stream", asked())) open();
}

/** A window that nobody sees gives its connection back, unless it makes sounds. */
export function pause(keepAlerts) {
  isHidden = true;
  if (keepAlerts) {
    follow(wanted);
    return;
  }
  isPaused = true;
  close();
  giveSlot();
  takeConnection("paused");
}

export function resume() {
  if (!isHidden) return;
  isHidden = isPaused = false;
  follow(wanted);
}
