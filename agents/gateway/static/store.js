// What the page knows: newest results, alerts, the engine's state; and who wants to hear of changes.

export const signs = new Map();
export const alerts = new Map();
export const now = { status: null, connection: "connecting", heard: null, newest: 0 };
export const city = { session: null, places: new Map(), signs: new Map(), incidents: new Map(), overlays: new Map(), tables: new Map() };

const MOST_SIGNS = 20000;
const MOST_ALERTS = 8000;
const DAY = 86400000;
const listeners = new Map();
const told = new Set(); // ids, the last told last
const shown = new Set(); // of what tells whether a view shows an id

/** Calls `hear` at each change of `topic`; gives back what ends that. */
export function on(topic, hear) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(hear);
  return () => listeners.get(topic).delete(hear);
}

/** Keeps the results of which `shows` says that they are shown; gives back what ends that. */
export function keep(shows) {
  shown.add(shows);
  return () => shown.delete(shows);
}

export function tell(topic, what) {
  for (const hear of [...(listeners.get(topic) ?? [])]) hear(what);
}

export function idOf(sign, level, key) {
  return `${sign}|${level}|${key}`;
}

export function newestOf(sign, level, key) {
  return signs.get(idOf(sign, level, key)) ?? null;
}

function isNewer(one, other) {
  return one.t_end > other.t_end || (one.t_end === other.t_end && one.rev >= other.rev);
}

/** Takes results; of a key the greatest (t_end, rev) counts. */
export function takeSigns(results) {
  dropOldest();
  const changed = new Set();
  for (const result of results) {
    const id = idOf(result.vital, result.key_level, result.key);
    const held = signs.get(id);
    if (held && !isNewer(result, held)) continue;
    signs.set(id, result);
    told.delete(id);
    told.add(id);
    changed.add(id);
    if (!result.live && result.t_end > now.newest) now.newest = result.t_end;
  }
  if (changed.size) tell("signs", changed);
}

/** Lets go of what has not been told for longest, of views that were left. */
function dropOldest() {
  let over = signs.size - MOST_SIGNS;
  if (over <= 0) return;
  for (const id of told) {
    if ([...shown].some((shows) => shows(id))) continue;
    told.delete(id);
    if (signs.delete(id)) over -= 1;
    if (!over) return;
  }
}

/** Takes one transition; an older one than what is held is passed over. */
export function takeAlert(alert) {
  const held = alerts.get(alert.alert_id);
  if (held && held.t_update > alert.t_update) return;
  alerts.set(alert.alert_id, alert);
  if (alerts.size > MOST_ALERTS) dropCleared();
  tell("alert", { alert, before: held ?? null });
}

/** Takes more alerts, which somebody asked for. */
export function addAlerts(found) {
  for (const alert of found) {
    const held = alerts.get(alert.alert_id);
    if (!held || held.t_update < alert.t_update) alerts.set(alert.alert_id, alert);
  }
  if (alerts.size > MOST_ALERTS) dropCleared();
}

/** Lets go of what is over: the older half of it. */
function dropCleared() {
  const over = [...alerts.values()].filter((one) => one.state === "cleared").sort((a, b) => a.t_update - b.t_update);
  for (const one of over.slice(0, Math.ceil(over.length / 2))) alerts.delete(one.alert_id);
}

/** Takes alerts as they stood when they were asked for, and lets go of others; what was heard since is newer. */
export function takeAlerts(standing) {
  const heard = new Map(alerts);
  alerts.clear();
  for (const alert of standing) {
    const held = heard.get(alert.alert_id);
    alerts.set(alert.alert_id, held && held.t_update > alert.t_update ? held : alert);
  }
  tell("alerts", null);
}

export function takeStatus(status) {
  now.status = status;
  tell("status", status);
}

export function takeConnection(connection) {
  if (connection === now.connection) return;
  now.connection = connection;
  tell("connection", connection);
}

export function heard() {
  now.heard = Date.now();
}

/** The city's time: the clock, or where a past city is replayed, how far it has come. */
export function cityTime() {
  const marks = (now.status?.lanes ?? []).map((lane) => lane.watermark).filter((one) => one > 0);
  const furthest = Math.max(now.newest, ...marks);
  const clock = now.status?.now ?? Date.now();
  return furthest && Math.abs(clock - furthest) > DAY ? furthest : Math.max(furthest, clock);
}

/** From how long after its window's end on a result is stale; not before the engine counts as behind. */
export function staleAfter(sign) {
  const window = city.signs.get(sign)?.window;
  const least = now.status?.behind_after_ms ?? 0;
  if (!window) return Math.max(least, 15 * 60000);
  if (!window.hop_s) return 2 * DAY;
  return Math.max(3 * window.hop_s * 1000 + least, 10 * 60000);
}

/** Age of a result where it is stale, else null. */
export function staleness(result) {
  const age = cityTime() - result.t_end;
  return age > staleAfter(result.vital) ? age : null;
}

/** Whether an alert counts as standing: raised or clearing, and hidden by nobody. */
export function stands(alert) {
  return alert.state !== "cleared" && !alert.suppressed_by && !isShelved(alert);
}

/** Whether somebody has still to look at it: it stands, and nobody has acknowledged it. */
export function isOpen(alert) {
  return stands(alert) && !alert.acked;
}

export function isShelved(alert) {
  return alert.shelved_until !== null && alert.shelved_until > cityTime();
}
