// The frame around the views: navigation, switches, connection, banners, the accounting line.

import { logout } from "./api.js";
import { h, refill, say } from "./dom.js";
import { clockSeconds, lang, named, number, setLanguage, span, t } from "./i18n.js";
import { Live } from "./live.js";
import { isMute, notices, turnNotices } from "./notices.js";
import { levelMark } from "./parts.js";
import { alerts, city, cityTime, isOpen, now } from "./store.js";
import { theme, turnTheme } from "./theme.js";

const TABS = ["city", "alerts", "hotline", "sensing", "engine"];
const BINS = ["accepted", "rejected", "late", "duplicate", "filtered"];
const GAP_SHOWN = 8000;
const UNDER = { place: "city", sign: "city" };

function button(text, act, attributes = {}) {
  return h("button", { type: "button", onclick: act, ...attributes }, text);
}

export class Frame {
  constructor({ again, leave }) {
    this.live = new Live();
    this.main = h("main", { id: "main", tabindex: "-1" });
    this.tabs = new Map(TABS.map((name) => [name, h("a", { href: `#/${name}` }, t(`nav.${name}`))]));
    this.count = h("span", { class: "count" });
    this.tabs.get("alerts").append(this.count);
    this.link = h("span", { class: "link", role: "status" });
    this.time = h("span", { class: "city-time" });
    this.lost = h("div", { class: "banner lost", role: "alert", hidden: true });
    this.behind = h("div", { class: "banner behind", role: "status", hidden: true });
    this.trouble = h("div", { class: "banner behind", role: "status", hidden: true });
    this.uneven = h("div", { class: "banner uneven", role: "alert", hidden: true });
    this.missed = h("div", { class: "banner missed", role: "status", hidden: true });
    this.line = h("footer", { class: "accounting", "aria-label": t("accounting") });
    const skip = h("a", { class: "skip", href: "#main", onclick: (event) => this.skip(event) }, t("skip"));
    this.node = h("div", { class: "frame" }, skip, this.header(again, leave), this.lost, this.uneven, this.behind, this.trouble, this.missed, this.main, this.line);
    this.live.on("connection", () => this.tellConnection());
    this.live.on("status", () => this.tellStatus());
    this.live.soon("alert", 250, () => this.tellCount());
    this.live.soon("alerts", 250, () => this.tellCount());
    this.live.on("notices", () => this.tellNotices());
    this.live.every(1000, () => this.tellTime());
    this.tellConnection();
    this.tellStatus();
    this.tellCount();
    this.tellNotices();
  }

  header(again, leave) {
    this.notices = button("", turnNotices, { title: t("notify.hint"), class: "notices" });
    const switches = [
      button(t("language"), () => {
        setLanguage(lang() === "zh" ? "en" : "zh");
        again();
        document.querySelector(".language").focus();
      }, { class: "language", lang: lang() === "zh" ? "en" : "zh-CN" }),
      button(t(`theme.${theme()}`), () => {
        turnTheme();
        again(); // charts are drawn in the theme's colours
        document.querySelector(".theme").focus();
      }, { class: "theme" }),
      this.notices,
      button(t("logout"), () => logout().catch(() => {}).then(leave)),
    ];
    return h(
      "header",
      { class: "top" },
      h("a", { class: "brand", href: "#/city" }, h("strong", null, t("title")), h("span", null, named(city.session.city))),
      h("nav", { "aria-label": t("nav") }, h("ul", null, TABS.map((name) => h("li", null, this.tabs.get(name))))),
      h("div", { class: "state" }, this.time, this.link),
      h("div", { class: "switches", role: "group", "aria-label": t("settings") }, switches),
    );
  }

  skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  choose(name) {
    for (const [tab, link] of this.tabs) {
      if (tab === (UNDER[name] ?? name)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  fill(node) {
    this.main.replaceChildren(node);
  }

  tellConnection() {
    const { connection } = now;
    this.link.className = `link ${connection}`;
    say(this.link, t(`connection.${connection}`));
    this.link.title = connection === "polled" ? t("connection.polled_hint") : "";
    const isLost = connection === "lost";
    document.body.classList.toggle("lost", isLost);
    if (isLost) say(this.lost, t("banner.lost", { at: clockSeconds(now.newest || cityTime()) }));
    this.lost.hidden = !isLost;
  }

  tellNotices() {
    say(this.notices, t(!notices() ? "notify.off" : isMute() ? "notify.mute" : "notify.on"));
    this.notices.setAttribute("aria-pressed", notices());
  }

  tellTime() {
    say(this.time, clockSeconds(cityTime()));
  }

  tellCount() {
    const open = [...alerts.values()].filter(isOpen);
    const worst = Math.max(0, ...open.map((one) => one.level));
    this.count.className = `count level-${worst}`;
    this.count.title = t("nav.open");
    refill(this.count, open.length ? [levelMark(worst), number(open.length), h("span", { class: "hidden" }, ` ${t("nav.open")}`)] : []);
  }

  tellStatus() {
    const { status } = now;
    this.tellTime();
    if (!status) return;
    const { total } = status;
    this.behind.hidden = !status.behind;
    if (status.behind) {
      const figures = { lag: number(status.lag), delay: span(status.watermark_delay_ms) };
      say(this.behind, t(status.engine === "stopped" ? "banner.stopped" : "banner.behind", figures));
    }
    const troubles = ["history", "postgres"].filter((part) => status[`${part}_trouble`]);
    this.trouble.hidden = !troubles.length;
    if (troubles.length) say(this.trouble, troubles.map((part) => t(`banner.${part}`)).join(" "));
    this.uneven.hidden = !total.remainder;
    if (total.remainder) say(this.uneven, t("banner.remainder", { n: number(total.remainder) }));
    const bins = BINS.map((bin, index) => [index ? " + " : " ", h("span", { class: "bin" }, t(`bin.${bin}`), " ", h("b", null, number(total[bin])))]);
    refill(
      this.line,
      h("span", { class: "bin" }, t("bin.read"), " ", h("b", null, number(total.read))),
      " =",
      bins,
      h("span", { class: `bin remainder ${total.remainder ? "wrong" : ""}` }, t("bin.remainder"), " ", h("b", null, number(total.remainder))),
    );
  }

  /** Tells for a while what this page missed. */
  gap({ signs, alerts: told }) {
    say(this.missed, t("banner.gap", { signs: number(signs), alerts: number(told) }));
    this.missed.hidden = false;
    clearTimeout(this.gapTimer);
    this.gapTimer = setTimeout(() => (this.missed.hidden = true), GAP_SHOWN);
  }

  end() {
    clearTimeout(this.gapTimer);
    this.live.end();
  }
}
