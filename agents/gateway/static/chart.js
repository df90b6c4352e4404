// A sign over time by uPlot: value, band of the model, thresholds, hatched gaps, revised windows.

import { h } from "./dom.js";
import { lang, number, levelWord, t } from "./i18n.js";
import { city } from "./store.js";
import uPlot from "./vendor/uPlot.esm.js";

const LEVELS = { blue: 1, yellow: 2, orange: 3, red: 4 };

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function fontSize() {
  return Math.max(12, parseFloat(getComputedStyle(document.documentElement).fontSize) * 0.82);
}

/** Columns of `/history` as uPlot wants them: seconds, value, low, high, expected. */
function dataOf(columns) {
  return [columns.t.map((one) => one / 1000), columns.value, columns.low ?? [], columns.high ?? [], columns.expected ?? []].map((column, index, all) =>
    column.length ? column : new Array(all[0].length).fill(null),
  );
}

/**
 * Columns with a null at both ends of each gap: windows that were never told are missing too.
 * `step` is from one window to the next, ms; null where that is not known.
 */
export function withGaps(columns, step) {
  const length = Math.max(step ?? 0, columns.resolution_ms ?? 0);
  const names = Object.keys(columns).filter((name) => Array.isArray(columns[name]));
  const out = { ...columns, ...Object.fromEntries(names.map((name) => [name, []])) };
  const put = (of) => names.forEach((name) => out[name].push(of(name)));
  columns.t.forEach((at, index) => {
    const before = columns.t[index - 1];
    if (index && length && at - before > length * 1.5) {
      const ends = at - before > length * 2 ? [before + length, at - length] : [before + length];
      for (const end of ends) put((name) => (name === "t" ? end : null));
    }
    put((name) => columns[name][index] ?? null);
  });
  return out;
}

/** Puts buckets in the place of those from the first of them on. */
export function joined(columns, tail) {
  const kept = columns.t.findIndex((one) => one >= tail.t[0]);
  const cut = kept < 0 ? columns.t.length : kept;
  const names = Object.keys(columns).filter((name) => Array.isArray(columns[name]));
  return { ...columns, ...Object.fromEntries(names.map((name) => [name, [...columns[name].slice(0, cut), ...(tail[name] ?? [])]])) };
}

function hatch(context, left, top, width, height) {
  context.save();
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  context.strokeStyle = colour("hatch");
  context.lineWidth = devicePixelRatio;
  const step = 7 * devicePixelRatio;
  for (let x = left - height; x < left + width; x += step) {
    context.beginPath();
    context.moveTo(x, top + height);
    context.lineTo(x + height, top);
    context.stroke();
  }
  context.restore();
}

/** Hatches windows whose value is null. */
function drawGaps(chart, columns) {
  const { left, top, width, height } = chart.bbox;
  const at = (index) => chart.valToPos(columns.t[index] / 1000, "x", true);
  for (let index = 0; index < columns.t.length; index += 1) {
    if (columns.value[index] !== null) continue;
    let last = index;
    while (last + 1 < columns.t.length && columns.value[last + 1] === null) last += 1;
    const from = Math.max(left, index > 0 ? at(index - 1) : at(index) - 4);
    const to = Math.min(left + width, Math.max(at(last), from + 2));
    if (to > from) hatch(chart.ctx, from, top, to - from, height);
    index = last;
  }
}

function drawThresholds(chart, thresholds) {
  const { ctx: context } = chart;
  const { left, top, width, height } = chart.bbox;
  context.save();
  context.font = `${fontSize() * devicePixelRatio}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "bottom";
  for (const [name, value] of Object.entries(thresholds)) {
    const y = chart.valToPos(value, "y", true);
    if (y < top || y > top + height) continue;
    context.strokeStyle = colour(`line-${LEVELS[name]}`);
    context.lineWidth = 1.5 * devicePixelRatio;
    context.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(left + width, y);
    context.stroke();
    context.fillStyle = colour("ink-soft");
    context.fillText(`${levelWord(LEVELS[name])} ${number(value)}`, left + width - 4, y - 2);
  }
  context.restore();
}

/** A short tick at the foot of each window that late events changed. */
function drawRevised(chart, columns) {
  const { ctx: context } = chart;
  const foot = chart.bbox.top + chart.bbox.height;
  context.save();
  context.fillStyle = colour("accent");
  (columns.rev ?? []).forEach((rev, index) => {
    if (!rev) return;
    const x = chart.valToPos(columns.t[index] / 1000, "x", true);
    context.fillRect(x - devicePixelRatio / 2, foot - 5 * devicePixelRatio, devicePixelRatio, 5 * devicePixelRatio);
  });
  context.restore();
}

/** The nearest thresholds are part of the picture; far ones would flatten the line. */
function rangeOf(thresholds) {
  return (chart, low, high) => {
    if (low === null) return [0, 1];
    const room = Math.max(high - low, Math.abs(high) * 0.1, 1e-6);
    for (const value of Object.values(thresholds())) {
      if (value > high && value - high < room * 1.5) high = value;
      if (value < low && low - value < room * 1.5) low = value;
    }
    const edge = (high - low || room) * 0.08;
    return [low >= 0 && low - edge < 0 ? 0 : low - edge, high + edge];
  };
}

function missingText(reason) {
  return reason ? `${t("missing")} (${t(`short.${reason}`)})` : t("missing");
}

function stamps(seconds, span) {
  const zone = city.session?.city.time_zone;
  const long = span > 86400;
  const options = { timeZone: zone, hourCycle: "h23", hour: "2-digit", minute: "2-digit", ...(long ? { month: "2-digit", day: "2-digit" } : {}) };
  const format = new Intl.DateTimeFormat(lang() === "zh" ? "zh-CN" : "en-GB", options);
  return seconds.map((one) => format.format(one * 1000));
}

/** Options of uPlot; what is drawn and by which thresholds is asked for at each draw. */
function options(columns, thresholds, size) {
  const font = `${fontSize()}px system-ui, sans-serif`;
  const axis = { stroke: colour("ink-soft"), font, grid: { stroke: colour("rule"), width: 1 }, ticks: { stroke: colour("rule") } };
  const em = fontSize();
  return {
    ...size,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: { x: { time: true }, y: { range: rangeOf(thresholds) } },
    axes: [
      { ...axis, space: em * 5, size: em * 2.4, values: (chart, splits) => stamps(splits, splits.at(-1) - splits[0]) },
      { ...axis, size: em * 4.6, values: (_, splits) => splits.map((one) => number(one)) },
    ],
    series: [
      {},
      { stroke: colour("accent"), width: 2, points: { show: columns().t.length < 60, size: 5 } },
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: colour("ink-soft"), width: 1, dash: [3, 3], points: { show: false } },
    ],
    bands: [{ series: [3, 2], fill: colour("band") }],
    hooks: {
      drawClear: [(chart) => drawGaps(chart, columns())],
      draw: [(chart) => drawThresholds(chart, thresholds()), (chart) => drawRevised(chart, columns())],
    },
  };
}

/** A chart that fills its box; `show(columns)` draws them, `add(result)` leads the newest on. */
export class Chart {
  constructor({ thresholds = {}, step = null, label = () => "" }) {
    this.thresholds = thresholds;
    this.step = step;
    this.label = label;
    this.readout = h("div", { class: "readout", "aria-hidden": "true" });
    this.box = h("div", { class: "chart-box" });
    this.node = h("figure", { class: "chart", role: "img" }, this.readout, this.box);
    this.node.setAttribute("aria-label", label({ t: [], value: [] }));
    this.columns = this.drawn = null;
    this.resizes = new ResizeObserver(() => this.fit());
    this.resizes.observe(this.box);
  }

  show(columns) {
    this.columns = columns;
    this.drawn = withGaps(columns, this.step);
    this.chart?.destroy();
    this.chart = null;
    this.box.replaceChildren();
    this.node.setAttribute("aria-label", this.label(columns));
    this.readout.textContent = "";
    if (!columns.t.length) {
      this.box.append(h("p", { class: "quiet" }, t("sign.no_history")));
      return;
    }
    const all = options(() => this.drawn, () => this.thresholds, this.size());
    all.hooks.setCursor = [(chart) => this.read(chart.cursor.idx)];
    this.chart = new uPlot(all, dataOf(this.drawn), this.box);
  }

  /** Other thresholds, by the name of their level. */
  rate(thresholds) {
    this.thresholds = thresholds;
    this.chart?.redraw(true, true);
  }

  size() {
    return { width: Math.max(200, Math.floor(this.box.clientWidth)), height: Math.max(120, Math.floor(this.box.clientHeight)) };
  }

  fit() {
    const { width, height } = this.size();
    if (this.chart && this.box.clientWidth && (this.chart.width !== width || this.chart.height !== height)) this.chart.setSize({ width, height });
  }

  read(index) {
    const columns = this.drawn;
    if (index === null || index === undefined) {
      this.readout.textContent = "";
      return;
    }
    const [at] = stamps([columns.t[index] / 1000], 90000);
    const band = columns.low?.[index] !== null && columns.low?.[index] !== undefined ? ` · ${t("sign.band")} ${number(columns.low[index])}–${number(columns.high[index])}` : "";
    const value = columns.value[index] === null ? missingText(columns.reason?.[index]) : number(columns.value[index]);
    this.readout.textContent = `${at} · ${value}${band}`;
  }

  /** Leads the line on by a newer result, or puts a revised one in the place of the first. */
  add(result) {
    const { columns } = this;
    if (!columns) return;
    const last = columns.t.length - 1;
    if (columns.t[last] > result.t_end) return;
    const index = columns.t[last] === result.t_end ? last : last + 1;
    const put = (name, value) => {
      if (columns[name]) columns[name][index] = value;
    };
    put("t", result.t_end);
    put("value", result.value);
    put("level", result.level);
    put("coverage", result.coverage);
    put("n", result.n);
    put("reason", result.reason);
    put("rev", result.rev);
    put("expected", result.model?.expected ?? null);
    put("low", result.model?.band?.[0] ?? null);
    put("high", result.model?.band?.[1] ?? null);
    this.lead(columns);
  }

  /** Leads buckets on by newer ones, of which the first may be one that was not whole yet. */
  join(tail) {
    if (tail.t.length) this.lead(joined(this.columns, tail));
  }

  lead(columns) {
    if (!this.chart) {
      this.show(columns);
      return;
    }
    this.columns = columns;
    this.drawn = withGaps(columns, this.step);
    this.chart.setData(dataOf(this.drawn));
    this.node.setAttribute("aria-label", this.label(columns));
  }

  end() {
    this.resizes.disconnect();
    this.chart?.destroy();
  }
}
