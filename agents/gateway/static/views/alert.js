// Why one alert stands: evidence, contributors, what happened; and what one may do about it.

import { get } from "../api.js";
import { h, refill, table } from "../dom.js";
import { known, levelWord, moment, named, number, percent, clock, sourceName, t, unitName } from "../i18n.js";
import { Live } from "../live.js";
import { keepNewest, newestFor, watchedBy } from "../newest.js";
import { ago, alertTitle, asOf, changedAt, facts, keyName, levelBadge, marksOf, placeLink, placePath, resultBadge, signLink, signName, thresholdText, timeOf, valueOf } from "../parts.js";
import { alerts, city, isShelved } from "../store.js";
import { askAndSend } from "./dialogs.js";

const ACTORS = new Set(["operator", "admin"]);
const UNMARKED = new Set(["live", "loss"]); // the gateway takes no marks of them

export function alertDetail(id) {
  const live = new Live();
  const node = h("article", { class: "panel why", tabindex: "-1", "aria-label": t("why.title") });
  const detail = new Detail(id, node, live);
  detail.read();
  keepNewest(live);
  live.soon("alert", 150, () => detail.read(), ({ alert }) => alert.alert_id === id || alert.suppressed_by === id);
  live.every(10000, () => detail.tellAge());
  return { node, end: () => live.end() };
}

class Detail {
  constructor(id, node, live) {
    this.live = live;
    this.id = id;
    this.node = node;
  }

  async read() {
    try {
      this.draw(await get(`/alerts/${encodeURIComponent(this.id)}`));
    } catch (refusal) {
      const held = alerts.get(this.id);
      if (held) this.draw({ alert: held, transitions: [], suppressed: [] });
      else refill(this.node, h("p", { role: "alert" }, refusal.status === 404 ? t("alerts.gone") : refusal.say()), back());
    }
  }

  tellAge() {
    this.live.redraw();
    if (this.age && this.alert) refill(this.age, ago(this.alert.t_raised));
  }

  draw({ alert, transitions, suppressed }) {
    this.alert = alert;
    this.age = h("span", { class: "quiet" }, ago(alert.t_raised));
    this.live.forget(this.node);
    const focused = this.node.contains(document.activeElement) ? document.activeElement.dataset?.act : null;
    refill(
      this.node,
      back(),
      h("header", null, levelBadge(alert.level), changedAt(alert.t_update), h("h2", null, alertTitle(alert)), h("p", null, h("span", { class: "state-word" }, t(`state.${alert.state}`)), " ", marksOf(alert), " ", this.age)),
      this.nowLine(alert),
      h("p", null, alert.place ? [placeLink(alert.place, placePath(alert.place)), " "] : null, alert.key === alert.place ? null : keyName(alert.key_level, alert.key)),
      alert.suppressed_by ? h("p", null, t("why.parent"), " ", parentLink(alert.suppressed_by)) : null,
      this.actions(alert),
      whyFacts(alert),
      evidence(alert),
      contributors(alert),
      children(suppressed),
      history(transitions),
    );
    if (focused) this.node.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  /** What its sign says now; its level and facts are of its last change. */
  nowLine(alert) {
    const id = watchedBy(alert);
    if (!id) return null;
    const line = h("p", { class: "now-line" });
    return this.live.bind(line, id, () => {
      const newest = newestFor(alert);
      line.hidden = !newest;
      if (newest) refill(line, h("span", { class: "quiet" }, t("now")), " ", valueOf(newest), " ", resultBadge(newest), " ", asOf(newest));
    });
  }

  actions(alert) {
    if (alert.state === "cleared") return null;
    if (UNMARKED.has(alert.kind)) return h("p", { class: "quiet" }, t("do.no_marks"));
    if (!ACTORS.has(city.session.role)) return h("p", { class: "quiet" }, t("do.not_allowed"));
    const acts = [alert.acked ? "unack" : "ack", isShelved(alert) ? "unshelve" : "shelve"];
    this.told ??= h("p", { class: "told", role: "status" });
    const ask = (act) => askAndSend(this.alert, act, (text) => refill(this.told, text));
    // The same ones again, unless they would do something else: one may be under a finger.
    if (this.acts?.key !== acts.join()) {
      const buttons = acts.map((act) => h("button", { type: "button", class: act === "ack" ? "main" : null, "data-act": act, onclick: () => ask(act) }, t(`do.${act}`)));
      this.acts = { key: acts.join(), node: h("div", { class: "acts" }, buttons, this.told) };
    }
    return this.acts.node;
  }
}

function back() {
  return h("a", { class: "back", href: "#/alerts", "aria-label": t("close") }, "×");
}

function parentLink(id) {
  const parent = alerts.get(id);
  return h("a", { href: `#/alerts/${id}` }, parent ? alertTitle(parent) : id);
}

function whyFacts(alert) {
  const { why } = alert;
  const isIncident = alert.kind === "incident";
  const unit = unitName(alert.unit);
  const overlay = why.overlay && named(city.overlays.get(why.overlay)?.name, why.overlay);
  return [
    h("h3", null, t("why.title")),
    facts([
      [t("why.value"), valueOf({ value: why.value, unit: alert.unit, reason: null })],
      [t("why.threshold"), why.threshold === null ? null : thresholdText(why.compare, why.threshold, alert.unit)],
      [t("why.source"), why.threshold_source ? t("why.of_standing", { source: sourceName(why.threshold_source), standing: t(`standing.${why.standing}`) }) : null],
      [t("why.expected"), why.expected === null ? null : `${number(why.expected)} ${unit}`],
      [t("why.band"), why.band ? `${number(why.band[0])} – ${number(why.band[1])} ${unit}` : null],
      [t("why.score"), why.score],
      [t("why.model"), why.model],
      [t("why.certainty"), alert.certainty ? t(`certainty.${alert.certainty}`) : null],
      [t("why.window"), `${moment(why.t_start)} – ${clock(why.t_end)}`],
      [t("why.events"), number(why.n)],
      [t("why.coverage"), percent(why.coverage)],
      [t("why.overlay"), overlay],
      [t("why.onset"), timeOf(alert.t_onset)],
      [t("why.raised"), timeOf(alert.t_raised)],
      [t("why.cleared"), alert.t_cleared === null ? null : timeOf(alert.t_cleared)],
      [t("why.config"), why.config],
    ]),
    isIncident ? null : h("p", null, signLink(alert.rule, alert.key_level, alert.key, `${t("why.chart")} →`)),
  ];
}

/** Each condition of an incident with the fact behind it. */
function evidence(alert) {
  const { evidence: found } = alert.why;
  if (!found?.length) return null;
  const conditions = new Map((city.incidents.get(alert.rule)?.conditions ?? []).map((one) => [one.id, one.name]));
  const rows = found.map((one) =>
    h(
      "tr",
      { class: one.holds ? "holds" : "is-missing" },
      h("th", { scope: "row" }, conditionName(one.condition, conditions)),
      h("td", null, h("span", { class: one.holds ? "chip holds" : "chip" }, one.holds ? `✓ ${t("yes")}` : `✗ ${t("no")}`)),
      h("td", null, one.sign && one.key ? [signLink(one.sign, one.key_level, one.key), h("span", { class: "where" }, keyName(one.key_level, one.key) + (one.relation ? ` (${one.relation})` : ""))] : one.sign ? signName(one.sign) : "–"),
      h("td", { class: "number" }, one.value === null || one.value === undefined ? h("span", { class: "missing" }, t("missing")) : valueOf({ value: one.value, unit: city.signs.get(one.sign)?.unit ?? "" })),
      h("td", { class: "at" }, one.t ? clock(one.t) : "–"),
    ),
  );
  return [h("h3", null, t("why.evidence")), table(t("why.evidence"), [t("why.condition"), t("why.holds"), t("sign"), { text: t("value"), class: "number" }, t("why.at")], rows)];
}

/** A condition by its name; `override:red` is one that leads to a level by itself. */
function conditionName(id, conditions) {
  const [kind, name] = id.split(":");
  const level = ["blue", "yellow", "orange", "red"].indexOf(name) + 1;
  return kind === "override" && level ? t("why.override", { level: levelWord(level) }) : named(conditions.get(id), id);
}

function contributors(alert) {
  const list = alert.why.contributors;
  if (!list.length) return null;
  const rows = list.map((one) => h("tr", null, h("th", { scope: "row" }, /^\d{4,15}$/.test(one.key) ? placeLink(one.key) : one.key), h("td", { class: "number" }, number(one.value))));
  return [h("h3", null, t("why.contributors")), table(t("why.contributors"), [t("key"), { text: t("value"), class: "number" }], rows)];
}

/** Alerts that an incident suppresses. */
function children(list) {
  if (!list?.length) return null;
  return [
    h("h3", null, t("why.children"), ` (${number(list.length)})`),
    h("ul", { class: "alert-list" }, list.map((one) => h("li", null, levelBadge(one.level), " ", changedAt(one.t_update), " ", h("a", { href: `#/alerts/${one.alert_id}` }, alertTitle(one)), " ", h("span", { class: "quiet" }, keyName(one.key_level, one.key), " · ", t(`state.${one.state}`))))),
  ];
}

function history(transitions) {
  if (!transitions.length) return null;
  const items = [...transitions].reverse().map((one) =>
    h(
      "li",
      null,
      timeOf(one.t_update),
      levelBadge(one.level, known(`transition.${one.transition}`) ? t(`transition.${one.transition}`) : one.transition),
      valueOf({ value: one.value, unit: one.unit, reason: null }),
      one.by ? h("span", { class: "by" }, t("why.by", { name: one.by, note: one.note ?? "" })) : null,
    ),
  );
  return [h("h3", null, t("why.transitions")), h("ol", { class: "transitions" }, items)];
}
