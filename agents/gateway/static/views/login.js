// A field for the token, where there is no session.

import { login } from "../api.js";
import { h, say } from "../dom.js";
import { lang, setLanguage, t } from "../i18n.js";

export function loginView(enter) {
  const told = h("p", { class: "refused", role: "alert" });
  const field = h("input", { id: "token", type: "password", autocomplete: "current-password", required: true });
  const submit = async (event) => {
    event.preventDefault();
    try {
      await login(field.value.trim());
      enter();
    } catch (refusal) {
      say(told, refusal.status === 401 || refusal.status === 403 ? t("login.refused") : refusal.say());
      field.select();
    }
  };
  const turn = () => {
    setLanguage(lang() === "zh" ? "en" : "zh");
    node.replaceWith(loginView(enter));
  };
  const node = h(
    "main",
    { class: "alone" },
    h("h1", null, t("title")),
    h(
      "form",
      { onsubmit: submit },
      h("label", { for: "token" }, t("login.token")),
      field,
      h("p", { class: "quiet" }, t("login.hint")),
      h("button", { type: "submit", class: "main" }, t("login.go")),
      told,
    ),
    h("button", { type: "button", onclick: turn }, t("language")),
  );
  return node;
}
