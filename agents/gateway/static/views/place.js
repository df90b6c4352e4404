// A place: its signs, its parts, what stands in it; down to the grid.

import { h, refill, say, table } from "../dom.js";
import { domainName, number, t } from "../i18n.js";
import { Live } from "../live.js";
import { alertTitle, asOf, changedAt, keyName, levelBadge, panel, pathOf, placeLevel, placeLink, placeName, resultBadge, signLink, valueOf } from "../parts.js";
import { alerts, city, idOf, signs, stands } from "../store.js";
import { signTable, whenKeysChange } from "./rows.js";

const CHILD = { city: "district", district: "street", street: "community", community: "grid" };
const LENGTH = { district: 6, street: 9, community: 12, grid: 15 };
const MOST_ROWS = 60;

export function placeView([code = city.session.city.place]) {
  const live = new Live();
  const level = placeLevel(code);
  const child = CHILD[level];
  const node = h(
    "div",
    { class: "view place" },
    trail(code),
    h("h1", null, placeName(code), h("span", { class: "quiet" }, ` ${t(`place.${level}`)} ${code}`)),
    signsPanel(live, level, code),
    h("div", { class: "column" }, child ? partsPanel(live, code, child) : null, alertsPanel(live, code)),
    level === "city" || level === "district" ? null : insidePanel(live, code),
  );
  live.every(15000, () => live.redraw());
  const broad = { city: ["city", "district"], district: ["district", "street"] }[level];
  return { node, title: placeName(code), signs: { under: code, key_level: broad }, end: () => live.end() };
}

function trail(code) {
  const codes = pathOf(code);
  const items = codes.map((one, index) =>
    h("li", null, index === codes.length - 1 ? h("span", { "aria-current": "page" }, placeName(one)) : placeLink(one)),
  );
  return h("nav", { class: "trail", "aria-label": t("place.path") }, h("ol", null, items));
}

function signsPanel(live, level, code) {
  const box = h("div", null);
  const ids = () =>
    [...signs.values()]
      .filter((one) => one.key_level === level && one.key === code)
      .map((one) => one.vital)
      .sort((a, b) => domainOf(a).localeCompare(domainOf(b)) || a.localeCompare(b));
  whenKeysChange(live, box, ids, (list) => signTable(live, t("place.signs"), list.map((sign) => ({ sign, level, key: code }))));
  const csv = h("a", { class: "csv", href: `/signs?place=${code}&key_level=${level}&format=csv`, download: "" }, t("csv"));
  return panel(t("place.signs"), { class: "main-panel", tools: csv }, box);
}

function domainOf(sign) {
  return city.signs.get(sign)?.domain ?? "";
}

/** Of each part its worst sign, how many signs have a value, and how many alerts stand in it. */
function partsOf(code, child) {
  const parts = new Map();
  const length = LENGTH[child];
  for (const result of signs.values()) {
    const part = result.place?.slice(0, length);
    if (!part || part.length !== length || !part.startsWith(code)) continue;
    if (!parts.has(part)) parts.set(part, { code: part, worst: null, told: 0, all: 0, alerts: 0 });
    const held = parts.get(part);
    if (result.key_level !== child) continue;
    held.all += 1;
    if (result.value !== null) held.told += 1;
    if (result.level !== null && (held.worst === null || result.level > held.worst.level)) held.worst = result;
  }
  for (const alert of alerts.values()) {
    const held = parts.get(alert.place?.slice(0, length));
    if (held && stands(alert)) held.alerts += 1;
  }
  return [...parts.values()].sort((a, b) => (b.worst?.level ?? -1) - (a.worst?.level ?? -1) || a.code.localeCompare(b.code));
}

function partsPanel(live, code, child) {
  const rows = new Map();
  const body = h("tbody", null);
  const heads = [t(`place.${child}`), t("place.worst"), t("nav.alerts"), t("place.count")];
  const draw = () => {
    const parts = partsOf(code, child);
    const order = parts.map((part) => {
      if (!rows.has(part.code)) rows.set(part.code, partRow(part.code));
      rows.get(part.code).draw(part);
      return rows.get(part.code).node;
    });
    if (order.some((one, index) => body.children[index] !== one)) body.replaceChildren(...order);
  };
  draw();
  live.soon("signs", 500, draw);
  live.soon("alert", 800, draw);
  live.soon("alerts", 100, draw);
  const box = table(t(`place.parts.${child}`), heads, [], { class: "parts" });
  box.querySelector("tbody").replaceWith(body);
  box.classList.add("tall");
  return panel(t(`place.parts.${child}`), null, box);
}

function partRow(code) {
  const worst = h("td", null);
  const count = h("td", { class: "number" });
  const told = h("td", { class: "number" });
  const draw = (part) => {
    const sign = part.worst;
    refill(
      worst,
      sign ? [levelBadge(sign.level), " ", sign.level ? [signLink(sign.vital, sign.key_level, sign.key), " "] : null, asOf(sign)] : levelBadge(null, t("level.none")),
    );
    say(count, part.alerts ? number(part.alerts) : "–");
    say(told, t("of", { n: number(part.told), m: number(part.all) }));
  };
  return { node: h("tr", null, h("th", { scope: "row" }, placeLink(code)), worst, count, told), draw };
}

function alertsPanel(live, code) {
  const list = h("ul", { class: "alert-list" });
  const draw = () => {
    const here = [...alerts.values()]
      .filter((one) => stands(one) && one.place?.startsWith(code))
      .sort((a, b) => b.level - a.level || b.t_raised - a.t_raised);
    refill(
      list,
      here.length
        ? here.slice(0, 12).map((one) => h("li", null, levelBadge(one.level), " ", changedAt(one.t_update), " ", h("a", { href: `#/alerts/${one.alert_id}` }, alertTitle(one)), " ", h("span", { class: "quiet" }, keyName(one.key_level, one.key))))
        : h("li", { class: "quiet" }, t("nothing")),
      here.length > 12 ? h("li", null, h("a", { href: `#/alerts?under=${code}` }, t("more", { n: here.length - 12 }))) : null,
    );
  };
  draw();
  live.soon("alert", 300, draw);
  live.soon("alerts", 100, draw);
  return panel(t("place.alerts"), null, list);
}

/** Signs of what lies in the place and is no place itself: stations, sites, road segments. */
function insidePanel(live, code) {
  const box = h("div", null);
  let most = MOST_ROWS;
  const list = () =>
    [...signs.values()]
      .filter((one) => one.place?.startsWith(code) && !(one.key_level in LENGTH) && !one.key_level.includes("*"))
      .sort((a, b) => a.key.localeCompare(b.key) || a.vital.localeCompare(b.vital))
      .map((one) => idOf(one.vital, one.key_level, one.key));
  const build = (ids) => [
    table(
      t("place.inside"),
      [t("key"), t("sign"), { text: t("value"), class: "number" }, { text: t("level"), class: "standing" }],
      ids.slice(0, most).map((id) => insideRow(live, id)),
      { class: "signs" },
    ),
    ids.length > most
      ? h("button", { type: "button", onclick: () => ((most += 200), live.forget(box), refill(box, build(list()))) }, t("more", { n: ids.length - most }))
      : null,
  ];
  whenKeysChange(live, box, list, build);
  return panel(t("place.inside"), { class: "wide" }, box);
}

function insideRow(live, id) {
  const { vital, key_level: level, key } = signs.get(id);
  const value = h("td", { class: "number" });
  const state = h("td", { class: "standing" });
  const row = h("tr", null, h("th", { scope: "row" }, key), h("td", null, signLink(vital, level, key), h("span", { class: "quiet" }, ` ${domainName(domainOf(vital))}`)), value, state);
  return live.bind(row, id, (result) => {
    refill(value, valueOf(result));
    refill(state, resultBadge(result), " ", asOf(result));
  });
}
