// What happened to alerts in the last hour: asked for at the start, and heard since.

import { get } from "./api.js";
import { alerts, cityTime, on, tell } from "./store.js";

const HOUR = 3600000;
const MOST = 1000;
const MOST_ASKED = 20;
const OF_LEVEL = new Set(["raised", "reraised", "escalated", "deescalated", "clearing", "cleared"]);
const BROAD = new Set(["city", "district", "domain*city", "domain*district", "category*city", "category*district", "platform*city"]);

const happened = new Map(); // alert, transition, time → {t, transition, level, alert, by}
const asked = new Set(); // alert and time of which all transitions are here

/** Whether a transition is one of the alert itself, and no mark that somebody or an incident put on it. */
export function isOfLevel({ transition }) {
  return OF_LEVEL.has(transition);
}

function matters(alert) {
  return BROAD.has(alert.key_level) || alert.kind === "incident";
}

function keep(alert, transition, t, level, by = null) {
  if (t === null || t === undefined || t < cityTime() - HOUR) return;
  happened.set(`${alert.alert_id} ${transition} ${t}`, { t, transition, level, alert, by });
}

function keepTransition(one) {
  keep(one, one.transition, one.t_update, one.transition === "cleared" ? 0 : one.level, one.by);
}

/** What an alert itself tells: its last transition, and when it was raised and cleared. */
function keepWhole(alert) {
  keepTransition(alert);
  if (alert.transition !== "raised" && !wasChanged(alert)) keep(alert, "raised", alert.t_raised, alert.max_level);
  if (alert.transition !== "cleared") keep(alert, "cleared", alert.t_cleared, 0);
}

/** Whether more may have happened than an alert tells of itself. */
function wasChanged(alert) {
  return alert.transition !== "raised" && alert.t_update !== alert.t_raised;
}

function forgetOld() {
  const since = cityTime() - HOUR;
  for (const [id, one] of happened) if (one.t < since) happened.delete(id);
}

async function read() {
  const since = cityTime() - HOUR;
  const { items } = await get("/alerts", { state: "all", since, order: "newest", limit: MOST });
  const ours = items.filter((one) => matters(one) && !one.suppressed_by);
  ours.forEach(keepWhole);
  tell("happened", null);
  // Their transitions, for a mark or an end hides what was before.
  const unclear = ours.filter((one) => wasChanged(one) && !asked.has(`${one.alert_id} ${one.t_update}`));
  for (const alert of unclear.slice(0, MOST_ASKED)) {
    try {
      (await get(`/alerts/${encodeURIComponent(alert.alert_id)}`)).transitions.forEach(keepTransition);
      asked.add(`${alert.alert_id} ${alert.t_update}`);
    } catch {
      keep(alert, "raised", alert.t_raised, alert.max_level);
    }
  }
  for (const alert of unclear.slice(MOST_ASKED)) keep(alert, "raised", alert.t_raised, alert.max_level);
  tell("happened", null);
}

/** Transitions of city and districts, and of incidents wherever they are, newest first. */
export function lastHour() {
  forgetOld();
  // What became part of an incident is told by the incident.
  return [...happened.values()].filter((one) => !alerts.get(one.alert.alert_id)?.suppressed_by).sort((a, b) => b.t - a.t);
}

export function watchHour() {
  on("alert", ({ alert }) => {
    if (!matters(alert)) return;
    keepTransition(alert);
    tell("happened", null);
  });
  on("alerts", () => read().catch(() => {}));
}
