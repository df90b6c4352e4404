// Sensing: who is online, whose readings are valid, who is silent.

import { get } from "../api.js";
import { h, refill, table } from "../dom.js";
import { number, t } from "../i18n.js";
import { Live } from "../live.js";
import { asOf, panel, placeLink, placePath, reasonOf, signLink, signName } from "../parts.js";
import { city, idOf } from "../store.js";
import { card, keysOf, matrix, whenKeysChange } from "./rows.js";

const ONLINE = "iot.online_rate";
const VALID = "iot.valid_rate";
const LATE = "iot.lateness_p95";
const CARDS = [ONLINE, VALID, LATE, "iot.video_online"];
const QUIET_LEVELS = ["station", "site", "intersection", "device"];
const EVERY = 30000;
const MOST = 100;

export function sensingView() {
  const live = new Live();
  const place = city.session.city.place;
  const node = h(
    "div",
    { class: "view sensing" },
    h("h1", { class: "hidden" }, t("nav.sensing")),
    panel(t("sensing.now"), { class: "wide" }, h("div", { class: "tiles" }, silentCard(live, place), CARDS.filter((sign) => city.signs.has(sign)).map((sign) => card(live, sign, "city", place)))),
    platformsPanel(live, place),
    districtsPanel(live),
    silentPanel(live),
  );
  live.every(15000, () => live.redraw());
  return { node, title: t("nav.sensing"), signs: { domain: "iot", key_level: ["city", "district", "platform*city"] }, end: () => live.end() };
}

/** Devices that are registered and silent: the rate counts those that spoke, the coverage is their share. */
function silentOf(result) {
  if (!result || !result.coverage) return null;
  const all = Math.round(result.n / result.coverage);
  return { all, silent: Math.max(0, all - result.n) };
}

function silentCell(result) {
  const counts = silentOf(result);
  if (!counts) return h("span", { class: "missing" }, result ? reasonOf(result) : t("never"));
  return h("span", { class: counts.silent ? "value warn" : "value" }, number(counts.silent), h("span", { class: "unit" }, `/ ${number(counts.all)}`));
}

function silentCard(live, place) {
  const value = h("div", { class: "card-value" });
  const state = h("div", { class: "card-state" });
  const node = h("div", { class: "card" }, h("h3", null, signLink(ONLINE, "city", place, t("sensing.silent"))), value, state);
  return live.bind(node, idOf(ONLINE, "city", place), (result) => {
    refill(value, silentCell(result));
    refill(state, asOf(result));
  });
}

function columns() {
  return [
    { sign: ONLINE, text: t("sensing.online") },
    { sign: ONLINE, text: t("sensing.silent"), cell: silentCell },
    { sign: VALID, text: t("sensing.valid") },
  ];
}

function platformsPanel(live, place) {
  const level = "platform*city";
  const box = h("div", null);
  whenKeysChange(live, box, () => keysOf(level, new Set([ONLINE, VALID, LATE])), (list) =>
    matrix(live, t("sensing.platforms"), t("sensing.platform"), list.map((key) => ({ level, key })), [...columns(), { sign: LATE, text: t("sensing.lateness") }], (_, key) => key.slice(0, -place.length - 1)),
  );
  return panel(t("sensing.platforms"), null, box);
}

function districtsPanel(live) {
  const keys = [...city.places.keys()].filter((code) => code.length === 6).map((key) => ({ level: "district", key, link: placeLink(key) }));
  return panel(t("sensing.districts"), null, matrix(live, t("sensing.districts"), t("alerts.district"), keys, columns()));
}

/** Keys whose newest window has too little data, asked for now and then: they are many. */
function silentPanel(live) {
  const box = h("div", null, h("p", { class: "quiet" }, t("loading")));
  const look = async () => {
    try {
      const { items } = await get("/signs", { key_level: QUIET_LEVELS, limit: 20000 });
      const quiet = items.filter((one) => one.value === null && one.reason === "uncovered").sort((a, b) => a.t_end - b.t_end);
      refill(box, quiet.length ? silentTable(quiet) : h("p", { class: "quiet" }, t("sensing.all_speak")));
    } catch (refusal) {
      refill(box, h("p", { role: "alert" }, refusal.say()));
    }
  };
  look();
  live.every(EVERY, look);
  return panel(t("sensing.keys"), { class: "wide" }, box, h("p", { class: "quiet" }, t("sensing.keys_note")));
}

function silentTable(quiet) {
  const rows = quiet.slice(0, MOST).map((one) =>
    h(
      "tr",
      { class: "is-missing" },
      h("th", { scope: "row" }, one.key),
      h("td", null, signLink(one.vital, one.key_level, one.key, signName(one.vital))),
      h("td", null, one.place ? placeLink(one.place, placePath(one.place)) : "–"),
      h("td", { class: "number" }, number(one.n)),
      h("td", null, h("span", { class: "missing" }, reasonOf(one)), " ", asOf(one)),
    ),
  );
  return table(t("sensing.keys"), [t("key"), t("sign"), t("alert.place"), { text: t("sign.n"), class: "number" }, t("sign.reason")], rows);
}
