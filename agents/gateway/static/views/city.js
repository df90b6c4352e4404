// The city at a glance: index, districts, what changed, domains, all its signs.

import { h, refill, say } from "../dom.js";
import { clock, domainName, levelWord, number, t } from "../i18n.js";
import { Live } from "../live.js";
import { districtMap } from "../map.js";
import { asOf, levelBadge, panel, resultBadge, signLink, signName, valueOf } from "../parts.js";
import { changeInHour, readTrend } from "../spark.js";
import { alerts, city, cityTime, idOf, newestOf, signs, staleness, stands, tell } from "../store.js";
import { changesPanel } from "./changes.js";
import { byDomain, signTable, trendCell, whenKeysChange } from "./rows.js";

const HEALTH = "city.health_index";
const DOMAIN = "city.domain_index";
const MEASURES = [HEALTH, "drain.depth", "meteo.rain_1h", "traffic.tpi", "air.pm25_1h", "hotline.inflow", "iot.online_rate"];
const COLOURED = "cityvitals.map";

export function cityView() {
  const live = new Live();
  const place = city.session.city.place;
  const signsBox = h("div", { class: "domains" });
  whenKeysChange(live, signsBox, () => told(place), (list) => domainTables(live, place, list));
  const csv = h("a", { class: "csv", href: `/signs?place=${place}&key_level=city&format=csv`, download: "" }, t("csv"));
  const node = h(
    "div",
    { class: "view city" },
    h("h1", { class: "hidden" }, t("nav.city")),
    healthPanel(live, place),
    mapPanel(live),
    changesPanel(live, () => domainKeys(place).map((key) => [DOMAIN, "domain*city", key])),
    panel(t("city.signs"), { class: "wide", tools: csv }, signsBox),
  );
  live.every(15000, () => live.redraw());
  return {
    node,
    title: t("nav.city"),
    signs: { key_level: ["city", "district", "domain*city"] },
    end: () => live.end(),
  };
}

function delta(sign, level, key) {
  const change = changeInHour(sign, level, key);
  if (change === null) return "";
  const mark = change > 0.005 ? "▲" : change < -0.005 ? "▼" : "＝";
  return `${mark} ${number(Math.abs(change))}`;
}

function healthPanel(live, place) {
  const value = h("div", { class: "health-value" });
  const state = h("div", { class: "health-state" });
  const change = h("p", { class: "quiet" });
  const causes = h("ul", { class: "causes" });
  const trend = trendCell(live, HEALTH, "city", place, h("div", { class: "trend big" }), { low: 0, high: 100, width: 320, height: 64 });
  const body = h("div", { class: "health" }, value, state, change, trend, h("h3", null, t("city.lowered_by")), causes);
  const tellChange = () => {
    const text = delta(HEALTH, "city", place);
    say(change, text && `${text} ${t("city.hour_ago")}`);
  };
  live.bind(body, idOf(HEALTH, "city", place), (result) => {
    refill(value, valueOf(result, ""), result && result.value !== null ? h("span", { class: "unit" }, "/ 100") : null);
    refill(state, resultBadge(result), " ", asOf(result));
    refill(causes, causesOf(result, "city", place));
    tellChange();
  });
  readTrend(HEALTH, "city", place, tellChange);
  return panel(t("city.health"), { class: "index" }, body, h("h3", null, t("city.domains")), domainRows(live, place));
}

function causesOf(result, level, key) {
  const low = Object.entries(result?.detail?.levels ?? {}).filter((one) => one[1] > 0).sort((a, b) => b[1] - a[1]);
  if (!low.length) return result?.value === null || !result ? [] : h("li", { class: "quiet" }, t("city.lowered_none"));
  return low.map(([sign, worst]) => {
    const newest = newestOf(sign, level, key);
    const isSame = newest?.level === worst; // else the index has counted an older one
    const figure = isSame ? [" ", valueOf(newest)] : null;
    return h("li", null, levelBadge(worst), " ", signLink(sign, level, key), figure, " ", asOf(isSame ? newest : result));
  });
}

function mapPanel(live) {
  const map = districtMap((code) => (location.hash = `#/place/${code}`));
  const choices = ["worst", "alerts", ...MEASURES];
  const kept = sessionStorage.getItem(COLOURED);
  const choice = h(
    "select",
    { id: "map-by" },
    choices.map((one) => h("option", { value: one, selected: one === kept }, one in { worst: 1, alerts: 1 } ? t(`city.by.${one}`) : signName(one))),
  );
  const stamp = h("span", { class: "stamp-box" });
  const draw = () => {
    const states = districtStates(choice.value);
    map.paint(states);
    refill(stamp, stampsOf(Object.values(states)));
  };
  choice.addEventListener("change", () => {
    sessionStorage.setItem(COLOURED, choice.value);
    draw();
  });
  draw();
  live.every(15000, draw);
  live.soon("signs", 200, draw);
  live.soon("alert", 500, draw);
  live.soon("alerts", 100, draw);
  const tools = h("div", { class: "tools" }, h("label", { for: "map-by" }, t("city.map_by")), choice);
  const legend = h("div", { class: "legend" }, [0, 1, 2, 3, 4, null].map((level) => levelBadge(level, level === null ? t("level.missing") : levelWord(level))), stamp);
  return panel(t("city.map"), { class: "districts", tools }, map.node, legend, h("p", { class: "quiet note" }, t("city.map_note")));
}

/** From when to when what the map shows holds, and how many districts are stale. */
function stampsOf(states) {
  const times = states.map((one) => one.at).filter(Boolean).sort((a, b) => a - b);
  if (!times.length) return null;
  const [first, last] = [clock(times[0]), clock(times.at(-1))];
  const stale = states.filter((one) => one.age).length;
  return [
    h("span", { class: "stamp" }, t("as_of", { at: first === last ? first : `${first}–${last}` })),
    stale ? h("span", { class: "stale" }, t("city.map_stale", { n: number(stale) })) : null,
  ];
}

/** What the map shows of each district, by what it is coloured by. */
function districtStates(by) {
  const states = {};
  if (by === "alerts") {
    for (const code of city.places.keys()) if (code.length === 6) states[code] = { level: 0, count: 0 };
    for (const alert of alerts.values()) {
      const state = states[alert.place?.slice(0, 6)];
      if (!state || !stands(alert)) continue;
      state.level = Math.max(state.level, alert.level);
      state.count += 1;
    }
    for (const state of Object.values(states)) Object.assign(state, { value: String(state.count), text: t("city.by.alerts"), at: cityTime() });
    return states;
  }
  for (const result of signs.values()) {
    if (result.key_level !== "district") continue;
    if (by !== "worst" && result.vital !== by) continue;
    const held = states[result.key];
    if (held && (held.level ?? -1) >= (result.level ?? -1) && by === "worst") continue;
    const figure = result.value === null ? null : number(result.value);
    states[result.key] = {
      at: result.t_end,
      age: staleness(result),
      level: result.level,
      missing: result.value === null,
      value: by === "worst" ? undefined : (figure ?? undefined),
      text: by === "worst" && !result.level ? null : `${signName(result.vital)} ${figure ?? t("missing")}`,
    };
  }
  if (by === "worst") addGraver(states);
  return states;
}

/** Of alerts below the district, the graver ones: its colour, of its own signs, would hide them. */
function addGraver(states) {
  for (const alert of alerts.values()) {
    const code = alert.place?.slice(0, 6) ?? "";
    if (code.length < 6 || !stands(alert)) continue;
    states[code] ??= { level: null };
    const state = states[code];
    if (alert.level <= (state.level ?? 0)) continue;
    state.over ??= { count: 0, level: 0 };
    state.over.count += 1;
    state.over.level = Math.max(state.over.level, alert.level);
  }
}

/** Index of each domain: value, change in an hour, trend, level, and what lowers it; then the domains that never spoke. */
function domainRows(live, place) {
  const box = h("ul", { class: "domain-rows" });
  const silent = h("div", null);
  whenKeysChange(live, box, () => domainKeys(place), (keys) => keys.map((key) => domainRow(live, key)));
  const draw = () => refill(silent, silentRows(silentDomains(place)));
  draw();
  live.soon("signs", 400, draw);
  return [box, silent];
}

function domainKeys(place) {
  // Worse ones before better ones, those without a value last.
  const rank = (one) => (one.value === null ? -1 : (one.level ?? 0));
  return [...signs.values()]
    .filter((one) => one.vital === DOMAIN && one.key.endsWith(`*${place}`))
    .sort((a, b) => rank(b) - rank(a) || a.key.localeCompare(b.key))
    .map((one) => one.key);
}

function domainRow(live, key) {
  const level = "domain*city";
  const value = h("span", { class: "figure" });
  const change = h("span", { class: "quiet change" });
  const state = h("span", { class: "domain-state" });
  const causes = h("span", { class: "quiet cause" });
  const tellChange = () => say(change, delta(DOMAIN, level, key));
  const trend = trendCell(live, DOMAIN, level, key, h("span", { class: "trend" }), { low: 0, high: 100 });
  const node = h("li", null, signLink(DOMAIN, level, key, domainName(key.split("*")[0])), trend, value, change, state);
  readTrend(DOMAIN, level, key, () => {
    tellChange();
    tell("happened", null); // its levels of the last hour are known now
  });
  return live.bind(node, idOf(DOMAIN, level, key), (result) => {
    refill(value, valueOf(result, ""));
    refill(state, resultBadge(result), " ", asOf(result), causes);
    const low = Object.entries(result?.detail?.levels ?? {}).filter((one) => one[1] > 0);
    say(causes, low.map(([sign, worst]) => `${levelWord(worst)} ${signName(sign)}`).join(" · "));
    tellChange();
  });
}

function silentRows(domains) {
  if (!domains.length) return null;
  const rows = domains.map((one) => h("li", { class: "missing" }, domainName(one)));
  return [h("h3", null, t("city.silent", { n: number(domains.length) })), h("ul", { class: "silent-domains" }, rows)];
}

/** Signs of the city that were told, as domain and sign. */
function told(place) {
  const found = [];
  for (const [domain, list] of byDomain("city")) {
    if (domain === "city") continue;
    for (const { id } of list) if (signs.has(idOf(id, "city", place))) found.push(`${domain} ${id}`);
  }
  return found;
}

/** Domains of which nothing was told, as soon as the city itself has spoken. */
function silentDomains(place) {
  if (!newestOf(HEALTH, "city", place)) return [];
  const speaking = new Set([...told(place).map((one) => one.split(" ")[0]), ...domainKeys(place).map((one) => one.split("*")[0])]);
  return [...new Set([...city.signs.values()].map((one) => one.domain))].filter((one) => one !== "city" && !speaking.has(one)).sort();
}

function domainTables(live, place, list) {
  const groups = grouped(list);
  return [...groups].map(([domain, entries]) =>
    h(
      "section",
      { class: "domain" },
      h("h3", null, domainName(domain)),
      signTable(live, domainName(domain), entries.map((one) => ({ sign: one.split(" ")[1], level: "city", key: place }))),
    ),
  );
}

function grouped(list) {
  const groups = new Map();
  for (const one of list) {
    const domain = one.split(" ")[0];
    groups.set(domain, [...(groups.get(domain) ?? []), one]);
  }
  return groups;
}
