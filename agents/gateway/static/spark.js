// Small trends, read once from the history and led on by the stream.

import { history } from "./api.js";
import { s } from "./dom.js";
import { cityTime, idOf } from "./store.js";

const WIDTH = 120;
const HEIGHT = 28;
const MOST_POINTS = 240;
const AT_ONCE = 3;
const SPAN = 3 * 3600000;

const kept = new Map(); // id → points [t, value, level]
let waiting = [];
let running = 0;

function next() {
  while (running < AT_ONCE && waiting.length) {
    const { sign, level, key, then } = waiting.shift();
    running += 1;
    const to = cityTime();
    history(sign, level, key, to - SPAN, to + 3600000)
      .then((columns) => columns.t.map((one, index) => [one, columns.value[index], columns.level?.[index] ?? null]), () => [])
      .then((points) => {
        kept.set(idOf(sign, level, key), points.slice(-MOST_POINTS));
        then();
      })
      .finally(() => {
        running -= 1;
        next();
      });
  }
}

/** Reads the last hours of a sign, once; `then` is called when they are there. */
export function readTrend(sign, level, key, then) {
  if (kept.has(idOf(sign, level, key))) return then();
  waiting.push({ sign, level, key, then });
  next();
}

/** Lets go of what no view has asked for yet, and of trends that would grow old. */
export function forgetTrends() {
  waiting = [];
  kept.clear();
}

export function extendTrend(result) {
  const points = kept.get(idOf(result.vital, result.key_level, result.key));
  if (!points) return;
  const last = points[points.length - 1];
  if (last && last[0] === result.t_end) last.splice(1, 2, result.value, result.level);
  else if (!last || last[0] < result.t_end) points.push([result.t_end, result.value, result.level]);
  if (points.length > MOST_POINTS) points.shift();
}

export function trendPoints(sign, level, key) {
  return kept.get(idOf(sign, level, key)) ?? [];
}

/** Change of a sign against an hour before its newest value; null where one is missing. */
export function changeInHour(sign, level, key) {
  const points = trendPoints(sign, level, key).filter((one) => one[1] !== null);
  const last = points[points.length - 1];
  if (!last) return null;
  const before = points.filter((one) => one[0] <= last[0] - 3600000).pop();
  return before ? last[1] - before[1] : null;
}

/** A line over time, gaps where a value is missing, or more than one `step` (ms) was never told. */
export function spark(points, { low = null, high = null, step = 0, width = WIDTH, height = HEIGHT } = {}) {
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" });
  const values = points.map((one) => one[1]).filter((one) => one !== null);
  if (values.length < 2) return svg;
  let bottom = low ?? Math.min(...values);
  let top = high ?? Math.max(...values);
  if (top - bottom < 1e-9) [bottom, top] = [bottom - 1, top + 1];
  const start = points[0][0];
  const length = points[points.length - 1][0] - start || 1;
  const x = (at) => (((at - start) / length) * (width - 2) + 1).toFixed(1);
  const y = (value) => (height - 2 - ((value - bottom) / (top - bottom)) * (height - 4)).toFixed(1);
  let path = "";
  let pen = "M";
  let before = start;
  for (const [at, value] of points) {
    if (value === null || (step && at - before > step * 1.5)) pen = "M";
    before = at;
    if (value !== null) {
      path += `${pen}${x(at)} ${y(value)}`;
      pen = "L";
    }
  }
  svg.append(s("path", { d: path, fill: "none", "vector-effect": "non-scaling-stroke" }));
  return svg;
}
