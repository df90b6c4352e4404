// Rows of signs as they stand, drawn again when they change.

import { h, refill, table } from "../dom.js";
import { t } from "../i18n.js";
import { asOf, keyName, resultBadge, signLink, signName, valueOf } from "../parts.js";
import { readTrend, spark, trendPoints } from "../spark.js";
import { city, idOf, signs } from "../store.js";

/** Signs of the catalogue that are told at a level, by domain; `keep` chooses among them. */
export function byDomain(level, keep = () => true) {
  const found = new Map();
  for (const sign of city.signs.values()) {
    if (!sign.keys.includes(level) || sign.hidden?.includes(level) || !keep(sign)) continue;
    if (!found.has(sign.domain)) found.set(sign.domain, []);
    found.get(sign.domain).push(sign);
  }
  return found;
}

/** Draws the trend of a sign into `cell` when it is seen, and at each new result. */
export function trendCell(live, sign, level, key, cell, options) {
  const step = 1000 * (city.signs.get(sign)?.window?.hop_s ?? 0);
  const draw = () => refill(cell, spark(trendPoints(sign, level, key), { step, ...options }));
  live.whenSeen(cell, () => readTrend(sign, level, key, draw));
  live.bind(cell, idOf(sign, level, key), draw);
  return cell;
}

/** A row: what it is, its trend, its value, its level and for when that holds. */
export function signRow(live, { sign, level, key, text = signName(sign) }, { trend = true } = {}) {
  const value = h("td", { class: "number" });
  const state = h("td", { class: "standing" });
  const row = h(
    "tr",
    null,
    h("th", { scope: "row" }, signLink(sign, level, key, text)),
    trend ? trendCell(live, sign, level, key, h("td", { class: "trend" })) : null,
    value,
    state,
  );
  const draw = (result) => {
    refill(value, valueOf(result));
    refill(state, resultBadge(result), " ", asOf(result));
    row.classList.toggle("is-missing", !result || result.value === null);
  };
  return live.bind(row, idOf(sign, level, key), draw);
}

export function signTable(live, caption, entries, { head = t("sign"), trend = true } = {}) {
  const heads = [
    head,
    ...(trend ? [{ text: t("trend"), class: "trend" }] : []),
    { text: t("value"), class: "number" },
    { text: t("level"), class: "standing" },
  ];
  return table(caption, heads, entries.map((one) => signRow(live, one, { trend })), { class: "signs" });
}

/** A table with a row for each key and a column for each sign. */
export function matrix(live, caption, head, keys, columns, nameOf = keyName) {
  const heads = [head, ...columns.map((column) => ({ text: column.text, class: "number" }))];
  const rows = keys.map(({ level, key, link }) => {
    const cells = columns.map(({ sign, cell = valueCell }) => {
      const node = h("td", { class: "number" });
      return live.bind(node, idOf(sign, level, key), (result) => refill(node, cell(result, sign, level, key)));
    });
    return h("tr", null, h("th", { scope: "row" }, link ?? nameOf(level, key)), cells);
  });
  return table(caption, heads, rows, { class: "matrix" });
}

function valueCell(result, sign, level, key) {
  const rated = result && result.level ? ` level-${result.level}` : "";
  const link = h("a", { class: `cell${rated}`, href: signLink(sign, level, key).getAttribute("href") }, rated ? resultBadge(result) : null, valueOf(result));
  return result ? [link, h("span", { class: "below" }, asOf(result))] : link;
}

/** Keys of a level for which a sign was told, in order. */
export function keysOf(level, chosen) {
  const keys = new Set();
  for (const result of signs.values()) {
    if (result.key_level === level && chosen.has(result.vital)) keys.add(result.key);
  }
  return [...keys].sort();
}

/** Fills `box` by `build` whenever what `keys` lists has changed. */
export function whenKeysChange(live, box, keys, build) {
  let shown = null;
  const look = () => {
    const list = keys();
    const text = list.join("\n");
    if (text === shown) return;
    shown = text;
    live.forget(box);
    refill(box, list.length ? build(list) : h("p", { class: "quiet" }, t("never")));
  };
  look();
  live.soon("signs", 400, look);
}

/** A figure with its name, level and stamp. */
export function card(live, sign, level, key, { trend = true, text = signName(sign) } = {}) {
  const value = h("div", { class: "card-value" });
  const state = h("div", { class: "card-state" });
  const node = h(
    "div",
    { class: "card" },
    h("h3", null, signLink(sign, level, key, text)),
    value,
    trend ? trendCell(live, sign, level, key, h("div", { class: "trend" })) : null,
    state,
  );
  return live.bind(node, idOf(sign, level, key), (result) => {
    refill(value, valueOf(result));
    refill(state, resultBadge(result), " ", asOf(result));
    node.className = `card on-${result?.level ?? "none"}`;
  });
}
