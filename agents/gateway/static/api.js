// Requests to the gateway. A refusal is thrown as `Refusal`, with the words that the gateway gave.

import { lang, t } from "./i18n.js";

/** A request that is not answered in this time is given up, ms. */
export const LONGEST_ANSWER = 15000;

export class Refusal extends Error {
  constructor(status, body, isLate = false) {
    super(body?.error ?? String(status));
    this.status = status;
    this.body = body ?? {};
    this.isLate = isLate;
  }

  /** What went wrong and what to do, for the person who reads. */
  say() {
    const text = lang() === "zh" ? this.body.message_zh : this.body.message;
    const hint = this.body.hint ? ` (${this.body.hint})` : "";
    if (text) return text + hint;
    if (this.isLate) return t("error.late", { n: LONGEST_ANSWER / 1000 });
    return this.status ? `${t("error")} ${this.status}` : t("error.network");
  }
}

let refused = () => {};
let session = new AbortController(); // ended by logging out, so that nothing asks without being known

/** Calls `then` whenever the gateway does not know us. */
export function onRefused(then) {
  refused = then;
}

async function ask(path, options) {
  let response;
  let body;
  try {
    const signal = AbortSignal.any([session.signal, AbortSignal.timeout(LONGEST_ANSWER)]);
    response = await fetch(path, { credentials: "same-origin", signal, ...options });
    body = response.status === 204 ? null : await response.json();
  } catch (fault) {
    if (!response?.status || response.ok) throw new Refusal(0, null, fault.name === "TimeoutError");
    body = null; // a refusal that is no JSON
  }
  if (response.ok) return body;
  const isLogin = path === "/session" && options?.method === "POST";
  if (response.status === 401 && !isLogin) refused();
  throw new Refusal(response.status, body);
}

/** `/path?a=1&b=x,y` of parameters; null and empty ones are left out, lists are joined by commas. */
export function address(path, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    const text = Array.isArray(value) ? value.join(",") : value;
    if (text !== null && text !== undefined && text !== "") query.set(name, text);
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

export function get(path, parameters) {
  return ask(address(path, parameters));
}

export function post(path, body) {
  return ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

export function login(token) {
  session = new AbortController();
  return post("/session", { token });
}

export function logout() {
  session.abort();
  return ask("/session", { method: "DELETE", signal: AbortSignal.timeout(LONGEST_ANSWER) });
}

export function history(sign, level, key, from, to, resolution = "auto") {
  return get("/history", { sign, key_level: level, key, from, to, resolution });
}
