// Acknowledge and shelve: asks for a name and a reason, and for how long.

import { post } from "../api.js";
import { h, say } from "../dom.js";
import { t } from "../i18n.js";
import { alertTitle, keyName, levelBadge, stampOf } from "../parts.js";
import { city } from "../store.js";

const NAME = "cityvitals.name";
const MINUTES = [15, 30, 60, 240, 1440];

function field(id, word, input, hint = null) {
  return h("div", { class: "field" }, h("label", { for: id }, word), input, hint && h("p", { class: "quiet", id: `${id}-hint` }, hint));
}

/** Asks, sends the command and tells what became of it. */
export function askAndSend(alert, act, tell) {
  const name = h("input", { id: "do-name", required: true, maxlength: 64, autocomplete: "name", value: localStorage.getItem(NAME) ?? city.session.name ?? "" });
  const reason = h("input", { id: "do-reason", required: true, maxlength: 200, autocomplete: "off" });
  const minutes = h("input", { id: "do-minutes", type: "number", min: 1, max: 1440, step: 1, required: true, value: 30, list: "do-lengths", "aria-describedby": "do-minutes-hint" });
  const refused = h("p", { class: "refused", role: "alert" });
  const title = h("h2", { id: "do-title" }, t(`do.${act}`));
  const form = h(
    "form",
    { method: "dialog" },
    title,
    h("p", null, levelBadge(alert.level), " ", stampOf(alert.t_update), " ", alertTitle(alert), " ", h("span", { class: "quiet" }, keyName(alert.key_level, alert.key))),
    field("do-name", t("do.name"), name),
    field("do-reason", t("do.reason"), reason),
    act === "shelve" ? [field("do-minutes", t("do.minutes"), minutes, t("do.minutes_hint")), h("datalist", { id: "do-lengths" }, MINUTES.map((one) => h("option", { value: one })))] : null,
    refused,
    h("div", { class: "acts" }, h("button", { type: "submit", class: "main" }, t(`do.${act}`)), h("button", { type: "button", onclick: () => dialog.close() }, t("cancel"))),
  );
  const dialog = h("dialog", { "aria-labelledby": "do-title" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    localStorage.setItem(NAME, name.value.trim());
    const body = { name: name.value.trim(), reason: reason.value.trim() };
    if (act === "shelve") body.minutes = Number(minutes.value);
    try {
      await post(`/alerts/${encodeURIComponent(alert.alert_id)}/${act}`, body);
      dialog.close();
      tell(t("do.sent"));
    } catch (refusal) {
      say(refused, refusal.say());
    }
  });
  const opener = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (opener?.isConnected) opener.focus();
    else document.querySelector(`[data-act="${act}"]`)?.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  reason.focus();
}
