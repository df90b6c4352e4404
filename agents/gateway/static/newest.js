// Newest results of the keys that alerts are of. The stream of their views tells none of them, so
// they are asked for, one by one, as long as somebody sees them.

import { get } from "./api.js";
import { city, idOf, newestOf, takeSigns } from "./store.js";

const LOOK = 1000;
const EVERY = 10000;
const AT_ONCE = 3; // a browser has six connections for all its windows

/** The sign and key that an alert watches, as one id; null where it has none, as incidents have. */
export function watchedBy(alert) {
  const isTold = city.signs.has(alert.rule) && alert.state !== "cleared";
  return isTold ? idOf(alert.rule, alert.key_level, alert.key) : null;
}

/** The newest result of what an alert watches; none that is older than the alert's own. */
export function newestFor(alert) {
  const newest = watchedBy(alert) && newestOf(alert.rule, alert.key_level, alert.key);
  return newest && newest.t_end >= alert.why.t_end ? newest : null;
}

/** Asks now and then for what is bound in `live` and seen. */
export function keepNewest(live) {
  const asked = new Map(); // id → when
  let isBusy = false;
  const ask = async (id) => {
    asked.set(id, Date.now());
    try {
      takeSigns([await get(`/signs/${id.split("|").map(encodeURIComponent).join("/")}`)]);
    } catch ({ status }) {
      if (status === 404) asked.set(id, Infinity); // nothing was ever told of it
    }
  };
  const look = async () => {
    if (isBusy || document.hidden) return;
    isBusy = true;
    const due = live.seenIds().filter((id) => !(Date.now() - (asked.get(id) ?? 0) < EVERY));
    while (due.length) await Promise.all(due.splice(0, AT_ONCE).map(ask));
    isBusy = false;
  };
  live.every(LOOK, look);
  setTimeout(look, 100); // when it is known what is seen
}
