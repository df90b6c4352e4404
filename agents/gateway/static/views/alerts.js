// Alerts: the list by level and age with its filters, and beside it why the chosen one stands.

import { address, get } from "../api.js";
import { h, refill, say, table } from "../dom.js";
import { domainName, levelWord, number, span, t } from "../i18n.js";
import { Live } from "../live.js";
import { keepNewest, newestFor, watchedBy } from "../newest.js";
import { alertTitle, asOf, changedAt, keyName, levelBadge, marksOf, panel, placeName, placePath, stateChips, thresholdText, valueOf } from "../parts.js";
import { addAlerts, alerts, city, cityTime, isOpen, isShelved } from "../store.js";
import { alertDetail } from "./alert.js";

const PAGE = 100;
const MOST_ROWS = 3000; // kept for when they are shown again
const ASKED = 1000;
const MOST_IN_FILE = 100000;
const EVERY = 60000;
const KINDS = ["threshold", "anomaly", "incident", "loss", "live"];
const KEPT = "cityvitals.filters";

/** What the filters say at first: as left in this session, and as the address asks. */
function firstFilters(query) {
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "{}");
  } catch {
    kept = {};
  }
  const asked = Object.fromEntries(new URLSearchParams(query));
  const base = query ? {} : kept;
  return { state: "standing", level: "1", domain: "", under: "", kind: "", acked: "", text: "", suppressed: false, shelved: false, ...base, ...asked };
}

export function alertsView([chosen], show) {
  const live = new Live();
  const view = new AlertList(live, location.hash.split("?")[1] ?? "", show);
  view.choose(chosen?.split("?")[0] ?? null);
  return {
    node: view.node,
    title: t("nav.alerts"),
    signs: null,
    turn: ([next]) => {
      if (location.hash.includes("?")) return false;
      view.choose(next ?? null);
      return true;
    },
    end: () => {
      view.detail?.end();
      clearTimeout(view.timer);
      live.end();
    },
  };
}

class AlertList {
  constructor(live, query) {
    this.live = live;
    this.filters = firstFilters(query);
    this.most = PAGE;
    this.total = 0; // that match, as the gateway says
    this.asked = ASKED;
    this.rows = new Map();
    this.body = h("tbody", null);
    this.shown = h("p", { class: "quiet", role: "status" });
    this.more = h("button", { type: "button", hidden: true, onclick: () => this.showMore() });
    this.csv = h("a", { class: "csv", download: "" }, t("csv"));
    this.side = h("div", { class: "detail" });
    const heads = [t("level"), t("alert"), { text: t("value"), class: "number" }, t("alert.age"), t("alerts.state")];
    const list = table(t("alerts.list"), heads, [], { class: "alerts" });
    list.querySelector("tbody").replaceWith(this.body);
    this.node = h(
      "div",
      { class: "view alerts-view" },
      h("h1", { class: "hidden" }, t("nav.alerts")),
      panel(t("alerts.list"), { class: "list", tools: this.csv }, this.form(), this.shown, list, this.more),
      this.side,
    );
    this.draw();
    this.ask();
    keepNewest(live);
    live.every(10000, () => live.redraw());
    live.every(EVERY, () => this.ask());
    live.soon("alert", 150, () => this.draw());
    live.soon("alerts", 50, () => this.draw());
    live.every(10000, () => this.draw());
  }

  form() {
    const { filters } = this;
    const choice = (name, word, options) =>
      h("label", null, h("span", null, word), h("select", { name }, options.map(([value, text]) => h("option", { value, selected: value === String(filters[name]) }, text))));
    const check = (name) => h("label", { class: "check" }, h("input", { type: "checkbox", name, checked: Boolean(filters[name]) }), t(`alerts.${name}`));
    const domains = [...new Set([...city.signs.values(), ...city.incidents.values()].map((one) => one.domain))].sort();
    const districts = [...city.places.keys()].filter((code) => code.length === 6);
    const extra = filters.under && !districts.includes(filters.under) ? [filters.under] : [];
    const form = h(
      "form",
      { class: "filters", "aria-label": t("alerts.filter"), onsubmit: (event) => event.preventDefault() },
      choice("state", t("alerts.state"), ["standing", "cleared", "all"].map((one) => [one, t(`alerts.${one}`)])),
      choice("level", t("alerts.least"), [1, 2, 3, 4].map((one) => [String(one), levelWord(one)])),
      choice("domain", t("alerts.domain"), [["", t("alerts.any")], ...domains.map((one) => [one, domainName(one)])]),
      choice("under", t("alerts.district"), [["", t("alerts.any")], ...[...districts, ...extra].map((one) => [one, placeName(one)])]),
      choice("kind", t("alerts.kind"), [["", t("alerts.any")], ...KINDS.map((one) => [one, t(`kind.${one}`)])]),
      choice("acked", t("alerts.acked"), ["", "no", "yes"].map((one) => [one, t(`alerts.acked.${one || "any"}`)])),
      h("label", null, h("span", null, t("alerts.search")), h("input", { type: "search", name: "text", value: filters.text })),
      h("div", { class: "checks" }, check("suppressed"), check("shelved")),
    );
    form.addEventListener("input", () => {
      const data = new FormData(form);
      for (const name of Object.keys(filters)) {
        filters[name] = name === "suppressed" || name === "shelved" ? data.has(name) : (data.get(name) ?? filters[name]);
      }
      sessionStorage.setItem(KEPT, JSON.stringify(filters));
      this.most = PAGE;
      this.asked = ASKED;
      this.total = 0;
      this.draw();
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), 200);
    });
    return form;
  }

  /** The filters as the gateway knows them: of what is over the worst level counts that it ever met. */
  query() {
    const { state, level, domain, under, kind, acked, suppressed, shelved } = this.filters;
    const least = state === "standing" ? { level } : { max_level: level };
    return { state, ...least, domain, under, kind, acked: acked ? acked === "yes" : null, suppressed: suppressed ? null : false, shelved: shelved ? null : false };
  }

  /** Asks how many match, and for the newest of them: the page may hold fewer. */
  async ask() {
    const query = this.query();
    try {
      const { items, total } = await get("/alerts", { ...query, order: query.state === "standing" ? "rank" : "newest", limit: this.asked });
      if (JSON.stringify(query) !== JSON.stringify(this.query())) return; // others were chosen meanwhile
      addAlerts(items);
      this.total = total > items.length ? total : 0;
    } catch {
      this.total = 0;
    }
    this.draw();
  }

  showMore() {
    this.most += PAGE;
    this.draw();
    if (this.most <= this.held || !this.total) return;
    this.asked = this.most + ASKED;
    this.ask();
  }

  matches(alert) {
    const { filters } = this;
    const text = filters.text.trim().toLowerCase();
    return (
      (filters.state === "all" || (alert.state === "cleared") === (filters.state === "cleared")) &&
      (filters.state === "standing" ? alert.level : alert.max_level) >= Number(filters.level) &&
      (!filters.domain || alert.labels.domain === filters.domain) &&
      (!filters.under || alert.place?.startsWith(filters.under)) &&
      (!filters.kind || alert.kind === filters.kind) &&
      (!filters.acked || alert.acked === (filters.acked === "yes")) &&
      (filters.suppressed || !alert.suppressed_by) &&
      (filters.shelved || !isShelved(alert)) &&
      (!text || [alertTitle(alert), alert.rule, alert.key, placePath(alert.place ?? ""), alert.alert_id].some((one) => one.toLowerCase().includes(text)))
    );
  }

  draw() {
    if (this.rows.size > MOST_ROWS) {
      this.live.forget();
      this.rows.clear();
    }
    const all = [...alerts.values()].filter((one) => this.matches(one)).sort(worstFirst);
    const wanted = all.slice(0, this.most).map((alert) => this.row(alert));
    if (wanted.length !== this.body.children.length || wanted.some((one, index) => this.body.children[index] !== one)) {
      const focused = document.activeElement;
      this.body.replaceChildren(...wanted);
      if (this.body.contains(focused)) focused.focus();
    }
    if (!all.length) this.body.replaceChildren(h("tr", null, h("td", { colspan: 5, class: "quiet" }, t("alerts.none"))));
    this.held = all.length;
    const text = this.filters.text.trim();
    const most = text ? all.length : Math.max(all.length, this.total);
    const shown = t("alerts.shown", { n: number(wanted.length), m: number(most) });
    const searched = text && this.total ? ` · ${t("alerts.searched", { n: number(this.asked), m: number(this.total) })}` : "";
    const open = t("alerts.open", { n: number([...alerts.values()].filter(isOpen).length) });
    say(this.shown, `${shown}${searched} · ${open}`);
    this.more.hidden = most <= this.most;
    say(this.more, t("more", { n: Math.min(PAGE, most - this.most) }));
    this.csv.href = address("/alerts", { ...this.query(), limit: MOST_IN_FILE, format: "csv" });
    say(this.csv, t(text ? "csv.whole" : "csv"));
  }

  row(alert) {
    if (!this.rows.has(alert.alert_id)) this.rows.set(alert.alert_id, h("tr", null));
    const row = this.rows.get(alert.alert_id);
    const mark = `${alert.t_update} ${alert.transition} ${isShelved(alert)}`;
    if (row.dataset.mark !== mark) {
      row.dataset.mark = mark;
      row.dataset.alert = alert.alert_id;
      this.live.forget(row);
      refill(row, cells(this.live, alert));
    }
    for (const age of row.querySelectorAll(".age")) say(age, ageOf(alert));
    row.classList.toggle("chosen", alert.alert_id === this.chosen);
    return row;
  }

  choose(id) {
    this.detail?.end();
    this.detail = null;
    this.chosen = id;
    this.node.classList.toggle("has-detail", Boolean(id));
    if (id) {
      this.detail = alertDetail(id);
      refill(this.side, this.detail.node);
      this.detail.node.focus({ preventScroll: true });
      if (matchMedia("(max-width: 65rem)").matches) scrollTo(0, 0);
    } else refill(this.side, h("p", { class: "quiet choose" }, t("alerts.choose")));
    for (const [key, row] of this.rows) row.classList.toggle("chosen", key === id);
  }
}

function worstFirst(a, b) {
  const hidden = (one) => Number(Boolean(one.suppressed_by) || isShelved(one));
  const clears = (one) => Number(one.state === "clearing");
  return hidden(a) - hidden(b) || b.level - a.level || Number(a.acked) - Number(b.acked) || clears(a) - clears(b) || b.t_raised - a.t_raised;
}

/** The value now with its limit, where it is known; else the one of the alert's last change. */
function valueCells(live, alert) {
  const { why } = alert;
  const then = h("span", { class: "below quiet" });
  const value = h("td", { class: "number" });
  const own = () => [t("then"), " ", valueOf({ value: alert.value, unit: alert.unit, reason: null })];
  const draw = () => {
    const newest = newestFor(alert);
    refill(then, newest ? own() : null);
    refill(
      value,
      newest ? [h("span", { class: "quiet" }, t("now")), " ", valueOf(newest), h("span", { class: "below now-stamp" }, asOf(newest))] : own(),
      alert.kind === "incident" ? null : h("span", { class: "limit" }, thresholdText(why.compare, why.threshold, alert.unit)),
      h("span", { class: "age narrow" }, ageOf(alert)),
    );
  };
  const id = watchedBy(alert);
  if (id) live.bind(value, id, draw);
  else draw();
  return { then, value };
}

function ageOf(alert) {
  return span((alert.state === "cleared" ? (alert.t_cleared ?? alert.t_update) : cityTime()) - alert.t_raised);
}

function cells(live, alert) {
  const { then, value } = valueCells(live, alert);
  const kind = alert.kind === "threshold" ? null : h("span", { class: "chip kind" }, t(`kind.${alert.kind}`));
  const isApart = alert.place && alert.key !== alert.place && !alert.key_level.includes("*");
  const key = keyName(alert.key_level, alert.key);
  const where = isApart ? `${key} · ${placePath(alert.place)}` : alert.key === alert.place ? placePath(alert.place) : key;
  return [
    h("td", null, levelBadge(alert.level), h("span", { class: "below" }, changedAt(alert.t_update)), then),
    h("th", { scope: "row" }, h("a", { href: `#/alerts/${alert.alert_id}` }, alertTitle(alert)), " ", kind, h("span", { class: "where" }, where), stateChips(alert)),
    value,
    h("td", { class: "age" }),
    h("td", null, h("span", { class: "state-word" }, t(`state.${alert.state}`)), marksOf(alert)),
  ];
}
