// The engine: how far behind it is, where every event went, what it refused and why.

import { get } from "../api.js";
import { h, refill, say, table } from "../dom.js";
import { clockSeconds, known, moment, number, span, t } from "../i18n.js";
import { Live } from "../live.js";
import { panel } from "../parts.js";
import { city, now } from "../store.js";
import { byDomain, card } from "./rows.js";

const BINS = ["read", "accepted", "rejected", "late", "duplicate", "filtered", "remainder"];
const EVERY = 15000;
const MOST_LETTERS = 1000; // that are counted: as many as the gateway tells of
const MOST_SHOWN = 60;
const EVERY_LETTERS = 60000;
const AUDITORS = new Set(["auditor", "admin"]);

export function engineView() {
  const live = new Live();
  const place = city.session.city.place;
  const list = (byDomain("city").get("engine") ?? []).map((one) => card(live, one.id, "city", place));
  const node = h(
    "div",
    { class: "view engine" },
    h("h1", { class: "hidden" }, t("nav.engine")),
    panel(t("engine.now"), { class: "wide" }, h("div", { class: "tiles" }, statusCards(live), list)),
    accountingPanel(live),
    deadPanel(live),
    AUDITORS.has(city.session.role) ? auditPanel(live) : null,
  );
  live.every(15000, () => live.redraw());
  return { node, title: t("nav.engine"), signs: { domain: "engine", key_level: "city" }, end: () => live.end() };
}

/** Figures of the engine's state, which comes each second. */
function statusCards(live) {
  const figure = (word, read) => {
    const value = h("span", { class: "value" });
    const draw = () => say(value, now.status ? read(now.status) : "–");
    draw();
    live.on("status", draw);
    return h("div", { class: "card" }, h("h3", null, word), h("div", { class: "card-value" }, value));
  };
  return [
    figure(t("engine.unread"), (status) => number(status.lag)),
    figure(t("engine.delay"), (status) => span(status.watermark_delay_ms)),
    figure(t("bin.late"), (status) => number(status.total.late)),
    figure(t("bin.remainder"), (status) => number(status.total.remainder)),
    figure(t("engine.version"), () => city.session.version),
  ];
}

function accountingPanel(live) {
  const body = h("tbody", null);
  const rows = new Map();
  const draw = () => {
    const { status } = now;
    if (!status) return;
    const lanes = [...status.lanes, { lane: t("total"), ...status.total, watermark: null, isTotal: true }];
    const order = lanes.map((lane) => {
      if (!rows.has(lane.lane)) rows.set(lane.lane, laneRow(lane));
      rows.get(lane.lane).draw(lane);
      return rows.get(lane.lane).node;
    });
    if (order.some((one, index) => one !== body.children[index])) body.replaceChildren(...order);
  };
  draw();
  live.on("status", draw);
  const heads = [t("engine.lane"), ...BINS.map((bin) => ({ text: t(`bin.${bin}`), class: "number" })), { text: t("engine.watermark"), class: "number" }, { text: t("engine.unread"), class: "number" }];
  const box = table(t("accounting"), heads, []);
  box.querySelector("tbody").replaceWith(body);
  return panel(t("accounting"), { class: "wide" }, box);
}

function laneRow(lane) {
  const cells = BINS.map((bin) => h("td", { class: "number", "data-bin": bin }));
  const watermark = h("td", { class: "number" });
  const unread = h("td", { class: "number" });
  const node = h("tr", { class: lane.isTotal ? "total" : null }, h("th", { scope: "row" }, lane.lane), cells, watermark, unread);
  const draw = (one) => {
    BINS.forEach((bin, index) => say(cells[index], number(one[bin] ?? null)));
    cells.at(-1).classList.toggle("wrong", Boolean(one.remainder));
    say(watermark, one.isTotal ? "" : one.watermark > 0 ? clockSeconds(one.watermark) : "–");
    const end = one.end_offset;
    say(unread, one.isTotal ? number(now.status.lag) : end === null || end === undefined ? "–" : number(Math.max(0, end - one.next_offset)));
  };
  return { node, draw };
}

function reasonWord(reason) {
  return known(`dead.${reason}`) ? t(`dead.${reason}`) : reason;
}

function deadPanel(live) {
  const reasons = h("div", null);
  const letters = h("div", null, h("p", { class: "quiet" }, t("loading")));
  const look = async () => {
    try {
      const { items, reasons: counts, examples } = await get("/deadletters", { limit: MOST_LETTERS });
      refill(reasons, reasonTable(counts, items, examples));
      refill(letters, letterTable(items.slice(0, MOST_SHOWN)), items.length > MOST_SHOWN ? h("p", { class: "quiet" }, t("engine.letters_shown", { n: number(MOST_SHOWN), m: number(items.length) })) : null);
    } catch (refusal) {
      refill(letters, h("p", { role: "alert" }, refusal.say()));
    }
  };
  look();
  live.every(EVERY_LETTERS, look);
  return panel(t("engine.dead"), { class: "wide" }, h("p", { class: "quiet" }, t("engine.dead_note")), h("div", { class: "halves" }, reasons, letters));
}

/** Each reason with its number among the newest and one record as an example, masked. */
function reasonTable(counts, items, examples) {
  const rows = Object.entries(counts).sort((a, b) => b[1] - a[1]).map(([reason, count]) => {
    const example = items.find((one) => one.reason === reason);
    return h(
      "tr",
      null,
      h("th", { scope: "row", class: "reason" }, reasonWord(reason)),
      h("td", { class: "number" }, number(count)),
      h("td", { class: "record" }, example ? [h("code", null, example.where), " ", example.hint, h("br"), h("code", { class: "quiet" }, examples[reason] ?? t("engine.record_gone"))] : "–"),
    );
  });
  if (!rows.length) return h("p", { class: "quiet" }, t("nothing"));
  const box = table(t("engine.by_reason"), [t("engine.reason"), { text: t("engine.of_newest", { n: number(items.length) }), class: "number" }, t("engine.example")], rows);
  box.classList.add("tall");
  const rejected = now.status?.total.rejected;
  return [h("p", { class: "quiet counted" }, t("engine.counted", { n: number(items.length), m: number(rejected ?? null) })), box];
}

function letterTable(items) {
  if (!items.length) return h("p", { class: "quiet" }, t("nothing"));
  const rows = items.map((one) =>
    h(
      "tr",
      null,
      h("th", { scope: "row" }, h("code", null, `${one.topic}/${one.partition}/${one.offset}`)),
      h("td", null, moment(one.timestamp)),
      h("td", null, reasonWord(one.reason)),
      h("td", null, h("code", null, one.where)),
      h("td", null, one.hint),
    ),
  );
  const box = table(t("engine.dead"), [t("engine.record"), t("engine.time"), t("engine.reason"), t("engine.where"), t("engine.hint")], rows);
  box.classList.add("tall");
  return box;
}

function auditPanel(live) {
  const box = h("div", null, h("p", { class: "quiet" }, t("loading")));
  const look = async () => {
    try {
      const { items, verified } = await get("/audit", { limit: 50 });
      refill(box, h("p", { class: verified ? "quiet" : "wrong" }, t(verified ? "engine.verified" : "engine.broken")), h("p", { class: "quiet" }, t("engine.audit_note")), auditTable(items));
    } catch (refusal) {
      refill(box, h("p", { role: "alert" }, refusal.say()));
    }
  };
  look();
  live.every(EVERY, look);
  return panel(t("engine.audit"), { class: "wide" }, box);
}

function auditTable(items) {
  if (!items.length) return h("p", { class: "quiet" }, t("nothing"));
  const text = (value) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));
  const rows = items.map((one) => h("tr", null, h("th", { scope: "row" }, moment(one.t)), h("td", null, text(one.who), h("span", { class: "quiet" }, ` ${text(one.role)}`)), h("td", null, text(one.action)), h("td", null, text(one.target)), h("td", null, text(one.detail))));
  const box = table(t("engine.audit"), [t("engine.wall_clock"), t("engine.who"), t("engine.what"), t("key"), t("engine.detail")], rows);
  box.classList.add("tall");
  return box;
}
