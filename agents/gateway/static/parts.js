// Small pieces that all views are made of: levels, stamps, values, links, names of keys.

import { h, s } from "./dom.js";
import { categoryName, clock, domainName, known, lang, levelWord, moment, named, number, span, t, unitName } from "./i18n.js";
import { city, cityTime, isShelved, staleness } from "./store.js";

const FAR = 12 * 3600000;

// A shape for each level, so that none is told by its colour alone.
const SHAPES = {
  0: () => s("circle", { cx: 6, cy: 6, r: 3.2, class: "hollow" }),
  1: () => s("circle", { cx: 6, cy: 6, r: 4.6 }),
  2: () => s("path", { d: "M6 1 11.4 10.6H.6Z" }),
  3: () => s("path", { d: "M6 .4 11.6 6 6 11.6 .4 6Z" }),
  4: () => s("rect", { x: 1, y: 1, width: 10, height: 10, rx: 1 }),
};

export function levelMark(level) {
  const shape = SHAPES[level];
  return s(
    "svg",
    { class: "mark", viewBox: "0 0 12 12", "aria-hidden": "true", focusable: "false" },
    shape ? shape() : s("path", { d: "M2 6h8", class: "hollow" }),
  );
}

/** The level as shape, colour and word. */
export function levelBadge(level, word = levelWord(level)) {
  return h("span", { class: `level level-${level ?? "none"}` }, levelMark(level), h("span", null, word));
}

/** The level of a result; a result without value has none and says so. */
export function resultBadge(result) {
  if (!result || result.value === null) return levelBadge(null, t("level.missing"));
  return levelBadge(result.level);
}

/** Until when something held: hour and minute, with the day where that is long ago. */
export function stampOf(ms, word = "as_of") {
  const isFar = Math.abs(cityTime() - ms) > FAR;
  return h("time", { class: "stamp", datetime: new Date(ms).toISOString() }, t(word, { at: isFar ? moment(ms) : clock(ms) }));
}

/** When an alert last changed: its level, value and state are of then. */
export function changedAt(ms) {
  return stampOf(ms, "changed_at");
}

/** For which time a result holds, and how old it is where it is stale. */
export function asOf(result) {
  if (!result) return null; // that it never spoke stands in the place of its value
  const age = staleness(result);
  const at = stampOf(result.t_end);
  return age === null ? at : h("span", null, at, " ", h("span", { class: "stale" }, t("stale", { age: span(age) })));
}

export function reasonOf(result) {
  if (!result) return t("never");
  const word = `reason.${result.reason}`;
  return known(word) ? t(word) : (result.reason ?? t("missing"));
}

function shortReason(result) {
  const word = `short.${result.reason}`;
  return known(word) ? t(word) : (result.reason ?? t("missing"));
}

/** A value with its unit, or a hatched field that tells why there is none. */
export function valueOf(result, unit = result?.unit) {
  if (!result) return h("span", { class: "missing" }, t("never"));
  if (result.value === null) return h("span", { class: "missing", title: reasonOf(result) }, shortReason(result));
  const name = unitName(unit, result.value);
  return h("span", { class: "value" }, number(result.value), name ? h("span", { class: "unit" }, name) : null);
}

export function signName(id) {
  return named(city.signs.get(id)?.name ?? city.incidents.get(id)?.name, id);
}

export function placeName(code) {
  if (!code) return "";
  const known = city.places.get(code);
  if (known) return named(known, code);
  const parent = [...city.places.keys()].filter((one) => code.startsWith(one)).sort((a, b) => b.length - a.length)[0];
  return parent && parent.length > 4 ? `${named(city.places.get(parent))} …${code.slice(parent.length)}` : code;
}

/** The whole path of names down to a place, without the city. */
export function placePath(code) {
  const parts = pathOf(code).filter((one) => one.length > 4 && city.places.has(one)).map((one) => named(city.places.get(one), one));
  const rest = code.length > 9 ? code.slice(9) : "";
  return [...parts, rest].filter(Boolean).join(lang() === "zh" ? " " : ", ") || placeName(code);
}

const LENGTHS = { 4: "city", 6: "district", 9: "street", 12: "community", 15: "grid" };

export function placeLevel(code) {
  return LENGTHS[code.length] ?? null;
}

/** Codes from the city down to this place. */
export function pathOf(code) {
  return [4, 6, 9, 12, 15].filter((length) => length <= code.length).map((length) => code.slice(0, length));
}

/** A key in words: a place by its name, `water*4401` by its parts, anything else as it is. */
export function keyName(level, key) {
  if (level in { city: 1, district: 1, street: 1, community: 1, grid: 1 }) return placeName(key);
  if (level.includes("*")) {
    const cut = key.lastIndexOf("*");
    const place = key.slice(cut + 1);
    const code = key.slice(0, cut);
    const what = level.startsWith("domain*") ? domainName(code) : level.startsWith("category*") ? categoryName(code) : code;
    return place === city.session?.city.place ? what : `${what} · ${placeName(place)}`;
  }
  return key;
}

export function signAddress(sign, level, key) {
  return `#/sign/${[sign, level, key].map(encodeURIComponent).join("/")}`;
}

export function signLink(sign, level, key, text = signName(sign)) {
  return h("a", { href: signAddress(sign, level, key) }, text);
}

export function placeLink(code, text = placeName(code)) {
  return h("a", { href: `#/place/${code}` }, text);
}

export function alertTitle(alert) {
  const { annotations } = alert;
  return (lang() === "zh" ? annotations.title_zh : annotations.title_en) || signName(alert.rule);
}

const COMPARE = { ge: "≥", gt: ">", le: "≤", lt: "<" };

export function thresholdText(compare, threshold, unit) {
  if (threshold === null || threshold === undefined) return "–";
  const name = unitName(unit);
  return `${COMPARE[compare] ?? compare} ${number(threshold)}${name ? ` ${name}` : ""}`;
}

export function ago(ms) {
  return t("ago", { age: span(cityTime() - ms) });
}

export function timeOf(ms) {
  return h("time", { datetime: new Date(ms).toISOString(), title: moment(ms) }, moment(ms));
}

/** A titled part of a view. */
export function panel(title, attributes, ...children) {
  const { tools, ...rest } = attributes ?? {};
  const id = `p${(panel.count = (panel.count ?? 0) + 1)}`;
  return h(
    "section",
    { ...rest, class: `panel ${rest.class ?? ""}`, "aria-labelledby": id },
    h("div", { class: "panel-head" }, h("h2", { id }, title), tools),
    children,
  );
}

export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter((pair) => pair[1] !== null && pair[1] !== undefined).map(([word, value]) => h("div", null, h("dt", null, word), h("dd", null, value))),
  );
}

/** What a narrow screen shows of an alert's state under its title: that it is raised goes without saying. */
export function stateChips(alert) {
  const state = alert.state === "raised" ? null : h("span", { class: "chip" }, t(`state.${alert.state}`));
  return h("span", { class: "chips narrow" }, state, marksOf(alert));
}

/** Marks that stand beside an alert's state. */
export function marksOf(alert) {
  const words = [];
  if (alert.acked) words.push(t("mark.acked"));
  if (isShelved(alert)) words.push(t("mark.shelved", { at: moment(alert.shelved_until) }));
  if (alert.suppressed_by) words.push(t("mark.suppressed"));
  if (alert.late) words.push(t("mark.late"));
  return words.map((word) => h("span", { class: "chip" }, word));
}
