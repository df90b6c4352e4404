// The 12345 hotline: taking, dispatch, closure, citizens' judgement; categories and hot spots.

import { history } from "../api.js";
import { Chart } from "../chart.js";
import { h, refill, table } from "../dom.js";
import { categoryName, number, t } from "../i18n.js";
import { Live } from "../live.js";
import { asOf, levelBadge, panel, placeLink, resultBadge, signLink, signName, valueOf } from "../parts.js";
import { city, cityTime, idOf, newestOf, signs } from "../store.js";
import { card, keysOf, matrix, whenKeysChange } from "./rows.js";

const GROUPS = {
  take: ["hotline.inflow", "hotline.urgent", "hotline.answer_15s", "hotline.connect_rate"],
  dispatch: ["hotline.dispatch_p95", "hotline.dispatch_accuracy", "hotline.auto_dispatch"],
  close: ["hotline.on_time_close", "hotline.open_age_p90", "cm.overdue"],
  citizens: ["hotline.satisfaction", "hotline.resolved_rate", "hotline.repeat_rate", "hotline.wellbeing"],
};
const DISTRICT = ["hotline.inflow", "hotline.urgent", "hotline.open_age_p90", "hotline.on_time_close", "hotline.repeat_rate", "hotline.wellbeing"];
const DEPARTMENT = ["hotline.on_time_close", "hotline.open_age_p90", "hotline.dispatch_accuracy", "hotline.satisfaction", "hotline.resolved_rate"];
const CATEGORY = "category*city";
const SPOT = "category*district";
const MOST_SPOTS = 12;
const FEW = 5; // fewer callers than this could be known by their number

export function hotlineView() {
  const live = new Live();
  const place = city.session.city.place;
  const inflow = inflowPanel(live, place);
  const node = h(
    "div",
    { class: "view hotline" },
    h("h1", { class: "hidden" }, t("nav.hotline")),
    panel(t("hotline.now"), { class: "wide" }, h("div", { class: "groups" }, Object.entries(GROUPS).map(([group, list]) => groupOf(live, group, list, place)))),
    categoriesPanel(live, place),
    inflow.node,
    hotPanel(live),
    departmentsPanel(live, place),
    districtsPanel(live),
  );
  live.every(15000, () => live.redraw());
  const end = () => {
    inflow.end();
    live.end();
  };
  return { node, title: t("nav.hotline"), signs: { domain: ["hotline", "cm"], key_level: ["city", "district", CATEGORY, SPOT, "department*city"] }, end };
}

function groupOf(live, group, list, place) {
  const known = list.filter((sign) => city.signs.get(sign)?.keys.includes("city"));
  return h("section", { class: "group" }, h("h3", null, t(`hotline.group.${group}`)), h("div", { class: "tiles" }, known.map((sign) => card(live, sign, "city", place))));
}

function inflowPanel(live, place) {
  const sign = "hotline.inflow";
  const chart = new Chart({ label: (columns) => t("sign.chart", { name: signName(sign), at: "", value: number(columns.value.at(-1) ?? null) }) });
  const to = cityTime();
  history(sign, "city", place, to - 3 * 3600000, to + 60000).then((columns) => chart.show(columns), () => chart.show({ t: [], value: [] }));
  live.bind(chart.node, idOf(sign, "city", place), (result) => result && chart.add(result));
  return { node: panel(t("hotline.inflow"), null, chart.node), end: () => chart.end() };
}

/** Orders, callers and burst of each category, most orders first. */
function categoriesPanel(live, place) {
  const body = h("tbody", null);
  const draw = () => {
    const keys = keysOf(CATEGORY, new Set(["hotline.topic_orders"]));
    const orders = (key) => newestOf("hotline.topic_orders", CATEGORY, key)?.value ?? 0;
    const most = Math.max(1, ...keys.map(orders));
    refill(body, keys.sort((a, b) => orders(b) - orders(a)).map((key) => categoryRow(key, most)));
  };
  draw();
  live.soon("signs", 700, draw);
  const heads = [t("hotline.category"), { text: "", hidden: true }, { text: t("hotline.orders"), class: "number" }, { text: t("hotline.callers"), class: "number" }, { text: t("hotline.burst"), class: "number" }, t("level")];
  const box = table(t("hotline.categories"), heads, []);
  box.querySelector("tbody").replaceWith(body);
  return panel(t("hotline.categories"), null, box);
}

function categoryRow(key, most) {
  const orders = newestOf("hotline.topic_orders", CATEGORY, key);
  const burst = newestOf("hotline.topic_burst", CATEGORY, key);
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, signLink("hotline.topic_orders", CATEGORY, key, categoryName(key.split("*")[0]))),
    h("td", { class: "bar" }, h("meter", { min: 0, max: most, value: orders?.value ?? 0, "aria-hidden": "true" })),
    h("td", { class: "number" }, valueOf(orders)),
    h("td", { class: "number" }, callersOf(newestOf("hotline.topic_callers", CATEGORY, key))),
    h("td", { class: "number" }, valueOf(burst)),
    h("td", { class: "standing" }, resultBadge(burst), " ", asOf(burst)),
  );
}

function callersOf(result) {
  if (result && result.value !== null && result.value > 0 && result.value < FEW) return h("span", null, t("hotline.few"));
  return valueOf(result);
}

/** Where one category is called about most: by burst, then by orders. */
function hotPanel(live) {
  const body = h("tbody", null);
  const draw = () => {
    const spots = [...signs.values()].filter((one) => one.vital === "hotline.topic_orders" && one.key_level === SPOT && one.value > 0);
    const burst = (one) => newestOf("hotline.topic_burst", SPOT, one.key);
    spots.sort((a, b) => (burst(b)?.level ?? -1) - (burst(a)?.level ?? -1) || (burst(b)?.value ?? 0) - (burst(a)?.value ?? 0) || b.value - a.value);
    refill(body, spots.slice(0, MOST_SPOTS).map((one) => spotRow(one, burst(one))));
  };
  draw();
  live.soon("signs", 700, draw);
  const heads = [t("hotline.category"), t("alerts.district"), { text: t("hotline.orders"), class: "number" }, { text: t("hotline.callers"), class: "number" }, { text: t("hotline.burst"), class: "number" }, t("level")];
  const box = table(t("hotline.hot"), heads, []);
  box.querySelector("tbody").replaceWith(body);
  return panel(t("hotline.hot"), null, box, h("p", { class: "quiet" }, t("hotline.hot_note")));
}

function spotRow(orders, burst) {
  return h(
    "tr",
    null,
    h("th", { scope: "row" }, signLink("hotline.topic_orders", SPOT, orders.key, categoryName(orders.key.split("*")[0]))),
    h("td", null, placeLink(orders.place)),
    h("td", { class: "number" }, valueOf(orders)),
    h("td", { class: "number" }, callersOf(newestOf("hotline.topic_callers", SPOT, orders.key))),
    h("td", { class: "number" }, valueOf(burst)),
    h("td", { class: "standing" }, burst ? [resultBadge(burst), " ", asOf(burst)] : levelBadge(null)),
  );
}

function columnsOf(list, level) {
  return list.filter((sign) => city.signs.get(sign)?.keys.includes(level)).map((sign) => ({ sign, text: signName(sign) }));
}

function districtsPanel(live) {
  const keys = [...city.places.keys()].filter((code) => code.length === 6).map((key) => ({ level: "district", key, link: placeLink(key) }));
  return panel(t("hotline.districts"), { class: "wide" }, matrix(live, t("hotline.districts"), t("alerts.district"), keys, columnsOf(DISTRICT, "district")));
}

function departmentsPanel(live, place) {
  const level = "department*city";
  const box = h("div", null);
  whenKeysChange(live, box, () => keysOf(level, new Set(DEPARTMENT)), (list) => {
    const rows = list.map((key) => ({ level, key }));
    const shown = matrix(live, t("hotline.departments"), t("hotline.department"), rows, columnsOf(DEPARTMENT, level), (_, key) => departmentName(key.slice(0, -place.length - 1)));
    shown.classList.add("tall");
    return shown;
  });
  return panel(t("hotline.departments"), null, box);
}

function departmentName(id) {
  const place = /^(\d{4,15})-(.+)$/.exec(id);
  return place && city.places.has(place[1]) ? [placeLink(place[1]), ` ${place[2]}`] : id;
}
