// Words, numbers and times in the reader's language and the city's time zone.

import { CATEGORIES, DOMAINS, UNITS } from "./names.js";
import { SOURCES } from "./sources.js";
import { WORDS as FRAME } from "./words.js";
import { WORDS_OF_VIEWS } from "./words_of_views.js";

const WORDS = { ...FRAME, ...WORDS_OF_VIEWS };

const KEPT = "cityvitals.language";
const EMPTY = "–";
let language = kept() ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
let zone = "Asia/Shanghai";
let formats = {};

function kept() {
  const word = localStorage.getItem(KEPT);
  return word === "zh" || word === "en" ? word : null;
}

export function lang() {
  return language;
}

/** Sets the language and remembers it. */
export function setLanguage(word) {
  language = word;
  formats = {};
  localStorage.setItem(KEPT, word);
  document.documentElement.lang = word === "zh" ? "zh-CN" : "en-GB";
}

export function setZone(name) {
  zone = name || zone;
  formats = {};
}

/** A word of the page; `{x}` in it is put from `values`. */
export function t(id, values) {
  const pair = WORDS[id];
  if (!pair) return id;
  const text = pair[language === "zh" ? 0 : 1];
  return values ? text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "") : text;
}

/** Whether the page has this word. */
export function known(id) {
  return id in WORDS;
}

/** From where thresholds are; somebody's own source is in no list, and shown as it is. */
export function sourceName(source) {
  return language === "zh" ? (SOURCES[source] ?? source) : source;
}

/** What has a name in both languages, in ours; the other where ours is missing. */
export function named(pair, otherwise = "") {
  if (!pair) return otherwise;
  const [first, second] = language === "zh" ? [pair.zh, pair.en] : [pair.en, pair.zh];
  return first || second || otherwise;
}

export function domainName(code) {
  const pair = DOMAINS[code];
  return pair ? pair[language === "zh" ? 0 : 1] : code;
}

export function categoryName(name) {
  return language === "zh" ? name : (CATEGORIES[name] ?? name);
}

/** A unit in words; some have another one for a single thing. */
export function unitName(code, value = null) {
  const unit = UNITS[code];
  if (unit === undefined) return code ?? "";
  if (language === "en" && value === 1 && Array.isArray(unit) && unit[2]) return unit[2];
  return Array.isArray(unit) ? unit[language === "zh" ? 0 : 1] : unit;
}

export function levelWord(level) {
  return level === null || level === undefined ? t("level.none") : t(`level.${level}`);
}

function format(name, make) {
  formats[name] ??= make();
  return formats[name];
}

function locale() {
  return language === "zh" ? "zh-CN" : "en-GB";
}

/** A number as one reads it: 3 figures below 100, whole from 1,000 on. */
export function number(value) {
  if (value === null || value === undefined) return EMPTY;
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  return format(`n${digits}`, () => new Intl.NumberFormat(locale(), { maximumFractionDigits: digits })).format(value);
}

export function percent(share) {
  if (share === null || share === undefined) return EMPTY;
  return `${number(Math.floor(share * 1000) / 10)}%`;
}

function times(name, options) {
  return format(name, () => new Intl.DateTimeFormat(locale(), { timeZone: zone, hourCycle: "h23", ...options }));
}

const CLOCK = { hour: "2-digit", minute: "2-digit" };
const DAY = { month: "2-digit", day: "2-digit" };

/** Hour and minute in the city. */
export function clock(ms) {
  return ms === null || ms === undefined ? EMPTY : times("clock", CLOCK).format(ms);
}

export function clockSeconds(ms) {
  return ms === null || ms === undefined ? EMPTY : times("seconds", { ...CLOCK, second: "2-digit" }).format(ms);
}

/** Day, hour and minute in the city. */
export function moment(ms) {
  return ms === null || ms === undefined ? EMPTY : `${day(ms)} ${clock(ms)}`;
}

/** The local date in the city, such as 2026-03-01. */
export function dateOf(ms) {
  const parts = Object.fromEntries(times("date", { year: "numeric", ...DAY }).formatToParts(ms).map((one) => [one.type, one.value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

export function day(ms) {
  const parts = Object.fromEntries(times("day", DAY).formatToParts(ms).map((one) => [one.type, one.value]));
  return `${parts.month}-${parts.day}`;
}

/** A length of time in one or two units. */
export function span(ms) {
  if (ms === null || ms === undefined) return EMPTY;
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return t("span.s", { n: seconds });
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return t("span.min", { n: minutes });
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (hours < 24) return rest ? t("span.h_min", { n: hours, m: rest }) : t("span.h", { n: hours });
  return t("span.d", { n: Math.floor(hours / 24), m: hours % 24 });
}
