// One sign at one key: value, chart, window, coverage, baseline, thresholds with their source.

import { address, get, history } from "../api.js";
import { Chart } from "../chart.js";
import { h, refill, table } from "../dom.js";
import { clock, levelWord, moment, named, number, percent, sourceName, span, t, unitName } from "../i18n.js";
import { levelsOf, thresholdsOf } from "../levels.js";
import { Live } from "../live.js";
import { asOf, facts, keyName, levelBadge, panel, pathOf, placeLink, placePath, reasonOf, resultBadge, signLink, signName, thresholdText, valueOf } from "../parts.js";
import { city, cityTime, idOf, newestOf, signs, takeSigns } from "../store.js";

const HOURS = [1, 3, 24, 168];
const LEVELS = ["blue", "yellow", "orange", "red"];
const MOST_SIBLINGS = 60;
const TAIL = 10000; // from one look for newer buckets to the next
const DAY = 86400000;

export function signView([sign, level, key]) {
  const live = new Live();
  const entry = city.signs.get(sign);
  const chart = new Chart({ thresholds: thresholdsOf(levelsOf(entry, newestOf(sign, level, key))), step: stepOf(entry), label: (columns) => chartLabel(sign, level, key, columns) });
  const range = rangePicker(live, sign, level, key, chart);
  const head = h("div", { class: "sign-head" });
  const details = h("div", null);
  const rated = ratedBy(entry, (levels) => chart.rate(thresholdsOf(levels)));
  live.bind(head, idOf(sign, level, key), (result) => {
    refill(head, h("div", { class: "big-value" }, valueOf(result)), resultBadge(result), " ", asOf(result));
    refill(details, detailsOf(result, entry, range.columns()));
    rated.show(levelsOf(entry, result));
    if (result) range.lead(result);
  });
  get(`/signs/${[sign, level, key].map(encodeURIComponent).join("/")}`).then((one) => takeSigns([one]), () => {});
  live.every(15000, () => live.redraw());
  const node = h(
    "div",
    { class: "view sign" },
    trail(sign, level, key),
    h("h1", null, signName(sign), h("span", { class: "quiet" }, ` ${keyName(level, key)} · ${sign}`)),
    panel(t("trend"), { class: "main-panel", tools: range.node }, head, chart.node, h("p", { class: "quiet" }, t("sign.gaps"))),
    panel(t("sign.window"), null, details),
    panel(t("sign.thresholds"), null, rated.node),
    siblingsPanel(live, sign, level, key),
  );
  const end = () => {
    chart.end();
    live.end();
  };
  return { node, title: signName(sign), signs: { sign, key_level: [...new Set([level, besides(sign, level)])] }, end };
}

function chartLabel(sign, level, key, columns) {
  const last = columns.value.length - 1;
  return t("sign.chart", { name: signName(sign), at: keyName(level, key), value: last < 0 ? "–" : number(columns.value[last]) });
}

function trail(sign, level, key) {
  const place = newestOf(sign, level, key)?.place ?? (/(?:^|\*)(\d{4,15})$/.exec(key)?.[1] || city.session.city.place);
  return h("nav", { class: "trail", "aria-label": t("place.path") }, h("ol", null, pathOf(place).map((one) => h("li", null, placeLink(one))), h("li", null, h("span", { "aria-current": "page" }, signName(sign)))));
}

/** Buttons of ranges, and the download of what is shown. */
function rangePicker(live, sign, level, key, chart) {
  let hours = 3;
  let columns = null;
  let looking = null;
  const csv = h("a", { class: "csv", download: "" }, t("csv"));
  const buttons = HOURS.map((one) => h("button", { type: "button", onclick: () => pick(one) }, t(`range.${one}`)));
  async function pick(chosen) {
    hours = chosen;
    buttons.forEach((one, index) => one.setAttribute("aria-pressed", HOURS[index] === hours));
    const to = endOfNow();
    const from = to - hours * 3600000;
    csv.href = address("/history", { sign, key_level: level, key, from, to, format: "csv" });
    try {
      const read = await history(sign, level, key, from, to);
      if (hours !== chosen) return;
      columns = read;
    } catch {
      columns = { t: [], value: [] };
    }
    chart.show(columns);
  }
  /** A window leads windows on; of buckets the last ones are read again, for it is a part of one. */
  function lead(result) {
    if (!columns?.resolution_ms) chart.add(result);
    else looking ??= setTimeout(readTail, TAIL);
  }
  async function readTail() {
    looking = null;
    const { resolution_ms: length, t: ends } = columns;
    const of = columns;
    if (!length) return; // another range was chosen
    try {
      const tail = await history(sign, level, key, ends.at(-1) - length, endOfNow(), `${length / 1000}s`);
      if (of !== columns) return;
      chart.join(tail);
      columns = chart.columns;
    } catch {
      // the next result asks again
    }
  }
  live.ends.push(() => clearTimeout(looking));
  pick(hours);
  return { lead, node: h("div", { class: "tools", role: "group", "aria-label": t("sign.range") }, buttons, csv), columns: () => columns };
}

function endOfNow() {
  return Math.ceil(cityTime() / 60000) * 60000 + 60000;
}

/** From one window to the next, ms; null where that is not always the same. */
function stepOf(entry) {
  const { calendar, hop_s: hop, during } = entry?.window ?? {};
  if (during || calendar === "month") return null;
  return calendar ? DAY : hop ? hop * 1000 : null;
}

function windowText(entry) {
  const window = entry?.window;
  if (!window) return t("sign.live");
  if (window.calendar) return t(`sign.calendar.${window.calendar}`);
  return t("sign.size", { size: span(window.size_s * 1000), hop: span((window.hop_s ?? window.size_s) * 1000) });
}

function detailsOf(result, entry, columns) {
  if (!result) return h("p", { class: "missing" }, t("never"));
  const { model } = result;
  const revised = columns?.rev?.filter((one) => one > 0).length ?? 0;
  const unit = unitName(result.unit);
  return facts([
    [t("sign.window"), `${moment(result.t_start)} – ${clock(result.t_end)}`],
    [null, windowText(entry)],
    [t("sign.coverage"), percent(result.coverage)],
    [t("sign.n"), number(result.n)],
    [t("sign.reason"), result.value === null ? reasonOf(result) : null],
    [t("sign.revision"), t(result.rev ? "sign.rev1" : "sign.rev0")],
    [t("sign.revisions"), columns?.rev ? t("sign.revisions_n", { n: number(revised), m: number(columns.t.length) }) : null],
    [t("sign.baseline"), model ? (model.expected === null ? t("sign.warming") : `${t("sign.expected")} ${number(model.expected)} ${unit}`) : t("sign.no_model")],
    [t("sign.band"), model?.band ? `${number(model.band[0])} – ${number(model.band[1])} ${unit}` : null],
    [t("sign.score"), model?.score ?? null],
    [t("alert.place"), result.place ? placeLink(result.place, placePath(result.place)) : null],
    [t("sign.detail"), detailText(result)],
    [t("sign.table"), result.table ?? null],
    [t("sign.data"), entry?.source ?? null],
    [t("sign.live"), result.live ? t("yes") : null],
    [t("sign.config"), result.config],
  ].map(([word, value]) => [word ?? "", value]));
}

/** What a value is made of: the child it comes from, or the levels of its signs. */
function detailText(result) {
  const { detail } = result;
  if (!detail) return null;
  if (detail.levels) {
    return h("ul", { class: "causes" }, Object.entries(detail.levels).map(([sign, level]) => h("li", null, levelBadge(level), " ", signName(sign), " ", asOf(result))));
  }
  return Object.entries(detail).filter((one) => typeof one[1] !== "object").map(([name, value]) => `${name} ${typeof value === "number" ? number(value) : value}`).join(" · ");
}

/** Levels of the sign as they hold; `changed` hears of others, once a table has another version. */
function ratedBy(entry, changed) {
  const node = h("div", null);
  let shown;
  const show = (levels) => {
    if (levels === shown) return;
    if (shown !== undefined) changed(levels);
    shown = levels;
    refill(node, levels ? thresholdsTable(levels, entry.unit) : h("p", { class: "quiet" }, t("sign.no_thresholds")));
  };
  return { node, show };
}

function thresholdsTable(levels, unit) {
  const thresholds = thresholdsOf(levels);
  const rows = LEVELS.filter((name) => name in thresholds).map((name) => {
    const level = LEVELS.indexOf(name) + 1;
    return h("tr", null, h("th", { scope: "row" }, levelBadge(level, levelWord(level))), h("td", { class: "number" }, thresholdText(levels.compare, thresholds[name], unit)));
  });
  return [
    table(t("sign.thresholds"), [t("level"), { text: t("sign.thresholds"), class: "number" }], rows),
    facts([
      [t("sign.table"), levels.label ?? null],
      [t("sign.valid"), validText(levels)],
      [t("sign.standing"), t(`standing.${levels.standing}`)],
      [t("sign.source"), sourceName(levels.source)],
    ]),
  ];
}

function validText({ valid_from: from, valid_to: to }) {
  return from || to ? t("sign.valid_days", { from: from ?? "…", to: to ?? "…" }) : null;
}

/** At which keys the sign is compared: the city has its like only in its districts. */
function besides(sign, level) {
  const below = level.replace(/city$/, "district");
  return city.signs.get(sign)?.keys.includes(below) ? below : level;
}

/** The sign at the other keys of the level, highest first whenever results come, with bars to compare. */
function siblingsPanel(live, sign, at, own) {
  const level = besides(sign, at);
  const rows = new Map();
  const body = h("tbody", null);
  const none = h("p", { class: "quiet" }, t("never"));
  const box = table(t("sign.siblings"), [t("key"), { text: "", hidden: true }, { text: t("value"), class: "number" }, { text: t("level"), class: "standing" }], [], { class: "signs" });
  box.querySelector("tbody").replaceWith(body);
  const draw = () => {
    const worth = (one) => one.value ?? -Infinity;
    const told = [...signs.values()].filter((one) => one.vital === sign && one.key_level === level);
    told.sort((a, b) => worth(b) - worth(a) || a.key.localeCompare(b.key));
    const most = Math.max(1e-9, ...told.map((one) => Math.abs(one.value ?? 0)));
    const wanted = told.slice(0, MOST_SIBLINGS).map(({ key }) => {
      if (!rows.has(key)) rows.set(key, siblingRow(live, sign, level, key, own));
      rows.get(key).compare(most);
      return rows.get(key).node;
    });
    none.hidden = wanted.length > 0;
    box.hidden = !wanted.length;
    if (wanted.length === body.children.length && wanted.every((one, index) => body.children[index] === one)) return;
    const focused = document.activeElement;
    body.replaceChildren(...wanted);
    if (body.contains(focused)) focused.focus({ preventScroll: true });
  };
  draw();
  live.soon("signs", 400, draw);
  return panel(t("sign.siblings"), { class: "wide", tools: named(city.signs.get(sign)?.name) }, none, box);
}

function siblingRow(live, sign, level, key, own) {
  const bar = h("meter", { min: 0, "aria-hidden": "true" });
  const value = h("td", { class: "number" });
  const state = h("td", { class: "standing" });
  const name = key === own ? h("strong", null, keyName(level, key)) : signLink(sign, level, key, keyName(level, key));
  const row = h("tr", null, h("th", { scope: "row" }, name), h("td", { class: "bar" }, bar), value, state);
  live.bind(row, idOf(sign, level, key), (result) => {
    refill(value, valueOf(result));
    refill(state, resultBadge(result), " ", asOf(result));
  });
  const compare = (most) => {
    bar.max = most;
    bar.value = Math.abs(newestOf(sign, level, key)?.value ?? 0);
  };
  return { node: row, compare };
}
