// Which thresholds a result is judged by: those of its sign, or of the version of its table that holds.

import { dateOf } from "./i18n.js";
import { city, cityTime } from "./store.js";

/** Keeps the versions of the catalogue's tables of levels, the oldest first. */
export function keepTables(tables) {
  city.tables.clear();
  for (const one of tables ?? []) {
    if (!one.thresholds) continue; // values are made of it, not levels
    if (!city.tables.has(one.id)) city.tables.set(one.id, []);
    city.tables.get(one.id).push(one);
  }
}

function holdsOn(version, date) {
  return (version.valid_from ?? "") <= date && date <= (version.valid_to ?? "9999");
}

/** Levels of a sign for a result, or for now where there is none; with `label` those of a table, null for none. */
export function levelsOf(entry, result) {
  const versions = city.tables.get(entry?.table);
  if (!versions) return entry?.levels ?? null;
  // A window belongs to the local day of its last ms.
  const date = dateOf((result?.t_end ?? cityTime()) - 1);
  return versions.find((one) => holdsOn(one, date)) ?? null;
}

/** Thresholds in use by the name of their level, the mildest first. */
export function thresholdsOf(levels) {
  return Object.fromEntries(Object.entries(levels?.thresholds ?? {}).filter((one) => one[1] !== null));
}
