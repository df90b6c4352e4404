// Map of the districts: coloured and patterned by level, with name and value in words.

import { OUTLINES, projected } from "./districts.js";
import { refill, s } from "./dom.js";
import { clock, levelWord, span, t } from "./i18n.js";
import { placeName } from "./parts.js";

const WIDTH = 560;
const MARKS = ["", "●", "▲", "◆", "■"]; // as in levelMark
const LEAST_TEXT = 12.6; // px on the screen

// Lines and dots over the colour, denser with the level; a level is never told by colour alone.
const PATTERNS = {
  1: [12, () => [s("circle", { cx: 6, cy: 6, r: 1.3 })]],
  2: [9, () => [s("path", { d: "M-2 11 11 -2M-2 2 2 -2M7 11 11 7" })]],
  3: [8, () => [s("path", { d: "M0 4h8M4 0v8" })]],
  4: [6, () => [s("path", { d: "M0 0 6 6M6 0 0 6" })]],
  none: [7, () => [s("path", { d: "M-2 2 2 -2M-2 9 9 -2M5 9 9 5" })]],
};

function patterns() {
  return s(
    "defs",
    null,
    Object.entries(PATTERNS).map(([level, [size, draw]]) =>
      s("pattern", { id: `over-${level}`, width: size, height: size, patternUnits: "userSpaceOnUse", class: "over" }, draw()),
    ),
  );
}

/** Middle of the widest piece of a polygon, in the sense of its area. */
function middle(points) {
  let [area, x, y] = [0, 0, 0];
  points.forEach(([x0, y0], index) => {
    const [x1, y1] = points[(index + 1) % points.length];
    const cross = x0 * y1 - x1 * y0;
    area += cross;
    x += (x0 + x1) * cross;
    y += (y0 + y1) * cross;
  });
  return [x / (3 * area), y / (3 * area)];
}

// Where the middle of a bent outline is not the place for its name.
const SHIFTS = { 440111: [-4, 12], 440103: [-6, 2], 440115: [-8, -10] };

/** The map; `paint({code: {level, text, value, at, age, over}})` colours it. Enter and click open a district. */
export function districtMap(open) {
  const { outlines, height } = projected(WIDTH);
  const shapes = new Map();
  const svg = s("svg", { class: "map", viewBox: `0 0 ${WIDTH} ${Math.ceil(height)}`, role: "group", "aria-label": t("city.map") }, patterns());
  const areas = s("g", { class: "areas" });
  const edges = s("g", { class: "edges" });
  svg.append(areas, edges); // below all names, which may be wider than their districts
  for (const code of Object.keys(OUTLINES)) {
    const points = outlines[code].map((one) => one.map((part) => part.toFixed(1)).join(",")).join(" ");
    const [x, y] = middle(outlines[code]).map((part, index) => part + (SHIFTS[code]?.[index] ?? 0));
    const shape = {
      fill: s("polygon", { points }),
      over: s("polygon", { points, class: "pattern" }),
      name: s("text", { x: x.toFixed(1), y: y.toFixed(1), dy: "-0.1em" }),
      value: s("text", { x: x.toFixed(1), y: y.toFixed(1), dy: "1.05em", class: "map-value" }),
      graver: s("text", { x: x.toFixed(1), y: y.toFixed(1), dy: "-1.2em", class: "graver" }),
      edge: s("polygon", { points, class: "edge" }),
      title: s("title", null),
    };
    shape.area = s("g", null, shape.fill, shape.over);
    areas.append(shape.area);
    edges.append(shape.edge);
    shape.group = s(
      "a",
      { href: `#/place/${code}`, class: "district", tabindex: "0" },
      shape.title, s("polygon", { points, class: "touch" }), shape.name, " ", shape.value, " ", shape.graver,
    );
    shape.group.addEventListener("click", (event) => {
      event.preventDefault();
      open(code);
    });
    shapes.set(code, shape);
    svg.append(shape.group);
  }
  // Text keeps its size on the screen, however small the map is drawn.
  const fit = () => {
    const scale = svg.getScreenCTM()?.a || 1;
    svg.style.fontSize = `${Math.max(15, LEAST_TEXT / scale)}px`;
  };
  new ResizeObserver(fit).observe(svg);
  return { node: svg, paint: (states) => shapes.forEach((shape, code) => paint(shape, code, states[code])) };
}

function paint(shape, code, state) {
  const level = state?.level ?? null;
  const key = level ?? "none";
  const name = placeName(code);
  const word = state?.missing ? t("level.missing") : levelWord(level);
  const { at, age, over } = state ?? {};
  shape.group.setAttribute("class", `district on-${key}`);
  shape.area.setAttribute("class", `area on-${key}`);
  shape.edge.classList.toggle("is-stale", Boolean(age));
  shape.over.style.fill = key in PATTERNS ? `url("#over-${key}")` : "none";
  const short = name.replace(/区$/, "");
  const shown = state?.value ?? word;
  refill(shape.name, short);
  refill(shape.value, shown);
  refill(shape.graver, over ? [s("tspan", { class: `graver-${over.level}` }, MARKS[over.level]), ` ${over.count}`] : null);
  const graver = over && t("city.map_over", { n: over.count, level: levelWord(over.level) });
  const times = [at && t("as_of", { at: clock(at) }), age && t("stale", { age: span(age) })];
  const told = [name, word, state?.text, graver, ...times].filter(Boolean).join(" · ");
  refill(shape.title, told);
  const seen = [short, shown, over && `${MARKS[over.level]} ${over.count}`].filter(Boolean).join(" ");
  shape.group.setAttribute("aria-label", `${seen}: ${told}`); // begins with what one sees
}
