// Alerts that stand, by level, and what changed in the last hour.

import { h, refill } from "../dom.js";
import { clock, domainName, number, levelWord, t } from "../i18n.js";
import { isOfLevel, lastHour } from "../lasthour.js";
import { alertTitle, keyName, levelBadge, levelMark, panel, placeName, signLink } from "../parts.js";
import { trendPoints } from "../spark.js";
import { alerts, cityTime, isOpen, stands } from "../store.js";

const HOUR = 3600000;
const MOST = 60;
const MOST_MARKS = 15;

/** `indices` lists the domain indices of the city, as [sign, level, key]. */
export function changesPanel(live, indices) {
  const counts = h("ul", { class: "counts" });
  const seen = h("p", { class: "quiet" });
  const list = h("ol", { class: "changes" });
  const marks = h("div", null);
  const draw = () => {
    refill(counts, countItems());
    refill(seen, seenLine());
    const told = lastHour();
    refill(list, changeItems(told.filter(isOfLevel), indices()));
    refill(marks, markItems(told.filter((one) => !isOfLevel(one))));
  };
  draw();
  live.soon("alert", 300, draw);
  live.soon("alerts", 100, draw);
  live.soon("happened", 100, draw);
  live.soon("signs", 2000, draw);
  live.every(20000, draw);
  return panel(
    t("city.standing"),
    { class: "now" },
    counts,
    seen,
    h("h3", null, t("city.changes")),
    h("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": t("city.changes") }, list, marks),
  );
}

function countItems() {
  const counts = [0, 0, 0, 0, 0];
  for (const alert of alerts.values()) if (isOpen(alert)) counts[alert.level] += 1;
  return [4, 3, 2, 1].map((level) =>
    h(
      "li",
      null,
      h("a", { href: `#/alerts?level=${level}&acked=no`, class: `tally level-${counts[level] ? level : "zero"}` }, levelMark(level), h("b", null, number(counts[level])), h("span", null, levelWord(level))),
    ),
  );
}

/** How many more stand, of which somebody knows. */
function seenLine() {
  const known = [...alerts.values()].filter((one) => stands(one) && one.acked).length;
  return known ? h("a", { href: "#/alerts?acked=yes" }, t("city.acked_too", { n: number(known) })) : null;
}

/** Where an index came to another level, as its history and the stream tell. */
function indexChanges(indices) {
  const since = cityTime() - HOUR;
  return indices.flatMap(([sign, level, key]) => {
    const rated = trendPoints(sign, level, key).filter((one) => one[2] !== null && one[2] !== undefined);
    return rated.flatMap(([at, value, now], index) => {
      const before = rated[index - 1]?.[2];
      if (before === undefined || before === now || at < since) return [];
      return { t: at, level: now, before, value, sign, at: level, key };
    });
  });
}

function changeItems(told, indices) {
  const recent = [...told, ...indexChanges(indices)].sort((a, b) => b.t - a.t).slice(0, MOST);
  if (!recent.length) return h("li", { class: "quiet" }, t("city.no_changes"));
  return recent.map((one) => (one.alert ? alertItem(one) : indexItem(one)));
}

function timeItem(ms) {
  return h("time", { datetime: new Date(ms).toISOString() }, clock(ms));
}

function alertItem({ t: at, transition, level, alert, by }) {
  return h(
    "li",
    null,
    timeItem(at),
    levelBadge(level, t(`transition.${transition}`)),
    h("a", { href: `#/alerts/${alert.alert_id}` }, alertTitle(alert)),
    h("span", { class: "quiet" }, alert.key_level.includes("*") ? keyName(alert.key_level, alert.key) : placeName(alert.place), by ? ` · ${by}` : ""),
  );
}

function indexItem({ t: at, level, before, value, sign, at: keyLevel, key }) {
  return h(
    "li",
    { class: "of-index" },
    timeItem(at),
    levelBadge(level),
    signLink(sign, keyLevel, key, `${domainName(key.split("*")[0])} ${t("city.index")}`),
    h("span", { class: "quiet" }, t("city.index_was", { before: levelWord(before), value: number(value) })),
  );
}

function markItems(told) {
  if (!told.length) return null;
  return [h("h4", null, t("city.marks")), h("ol", { class: "changes" }, told.slice(0, MOST_MARKS).map(alertItem))];
}
