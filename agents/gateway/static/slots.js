// A browser opens six connections to a gateway, for all windows together: four of them may be streams,
// so that two are left for what is asked.

const STREAMS = 4;
let give = null;
let asking = null;

/** Asks for one of the places; the lock is held until its promise is kept. */
function tryOne(number) {
  return new Promise((tell) => {
    navigator.locks
      .request(`cityvitals.stream.${number}`, { ifAvailable: true }, (lock) => {
        tell(Boolean(lock));
        return lock && new Promise((done) => (give = done));
      })
      .catch(() => tell(true));
  });
}

async function ask() {
  for (let number = 0; number < STREAMS; number += 1) {
    if (await tryOne(number)) return true;
  }
  return false;
}

/** Whether this window may hold a stream; true too where the browser can not tell. */
export async function takeSlot() {
  if (give || !navigator.locks) return true;
  asking ??= ask().finally(() => (asking = null));
  return asking;
}

export function giveSlot() {
  give?.();
  give = null;
}
