// Outlines of Guangzhou's districts, drawn by hand from approximate positions: neighbours share points.
// They show where a district lies and what it borders, not where its boundary runs.

const POINTS = {
  // Huadu's north-west, and its border with Conghua
  a1: [112.96, 23.36], a2: [112.98, 23.47], a3: [113.07, 23.51], a4: [113.11, 23.57], a5: [113.2, 23.6], hc1: [113.3, 23.62],
  hc2: [113.36, 23.57], hc3: [113.4, 23.51], hcb: [113.4, 23.46],
  // Huadu and Baiyun, Foshan's side
  hb1: [113.36, 23.4], hb2: [113.3, 23.36], hb3: [113.22, 23.34], hb4: [113.19, 23.29], hb5: [113.14, 23.27], hbf: [113.12, 23.22],
  hf1: [113.06, 23.24], hf2: [113.03, 23.3],
  // Conghua's north and east
  c1: [113.38, 23.68], c2: [113.42, 23.76], c3: [113.52, 23.83], c4: [113.6, 23.82], c5: [113.68, 23.87], c6: [113.78, 23.93],
  c7: [113.88, 23.91], c8: [113.91, 23.84], c9: [114.02, 23.8], c10: [114.05, 23.72], czl: [113.98, 23.65],
  // Conghua with Zengcheng, Huangpu, Baiyun
  cz1: [113.86, 23.6], cz2: [113.76, 23.55], cz3: [113.68, 23.5], czh: [113.61, 23.44], ch1: [113.55, 23.42], chb: [113.5, 23.42], cb1: [113.46, 23.44],
  // Zengcheng's east and south
  z1: [113.99, 23.55], z2: [113.98, 23.46], z3: [114.0, 23.38], z4: [113.95, 23.3], z5: [113.9, 23.23], z6: [113.87, 23.16], z7: [113.79, 23.12],
  z8: [113.7, 23.1], zhd: [113.61, 23.07],
  // Zengcheng and Huangpu
  zh1: [113.58, 23.13], zh2: [113.6, 23.2], zh3: [113.57, 23.28], zh4: [113.62, 23.36],
  // Huangpu with Baiyun, Tianhe, Haizhu, Panyu
  kb1: [113.49, 23.37], kb2: [113.44, 23.32], kbt: [113.42, 23.25], kt1: [113.41, 23.2], kt2: [113.44, 23.15], kth: [113.42, 23.09],
  khp: [113.415, 23.06], kp1: [113.46, 23.045], kpd: [113.53, 23.035],
  // Tianhe with Baiyun, Yuexiu, Haizhu
  tb1: [113.39, 23.25], tb2: [113.35, 23.24], tb3: [113.33, 23.19], tby: [113.3, 23.17], ty1: [113.315, 23.14], tyh: [113.315, 23.107], th1: [113.36, 23.104],
  // Yuexiu, Liwan
  yb1: [113.265, 23.178], ylb: [113.235, 23.157], yl1: [113.235, 23.135], ylh: [113.24, 23.106], yh1: [113.275, 23.108],
  lb1: [113.21, 23.166], lbf: [113.19, 23.16], lf1: [113.185, 23.13], lf2: [113.17, 23.1], lf3: [113.185, 23.06], lf4: [113.21, 23.043],
  lh1: [113.246, 23.08], lhp: [113.25, 23.05],
  // Baiyun's west
  bf1: [113.15, 23.15], bf2: [113.15, 23.19],
  // Haizhu and Panyu
  hp1: [113.285, 23.062], hp2: [113.33, 23.052], hp3: [113.37, 23.066],
  // Panyu's west and east, and its border with Nansha
  p1: [113.24, 23.0], p2: [113.28, 22.96], p3: [113.27, 22.9], pnf: [113.31, 22.85], pn1: [113.37, 22.87], pn2: [113.44, 22.86], pn3: [113.5, 22.88],
  pne: [113.57, 22.87], p4: [113.56, 22.91], p5: [113.55, 22.98],
  // Nansha's shores
  n1: [113.62, 22.81], n2: [113.65, 22.72], n3: [113.69, 22.62], n4: [113.66, 22.57], n5: [113.6, 22.6], n6: [113.56, 22.66], n7: [113.5, 22.7],
  n8: [113.45, 22.72], n9: [113.4, 22.78], n10: [113.34, 22.8],
};

export const OUTLINES = {
  440103: "ylb yl1 ylh lh1 lhp lf4 lf3 lf2 lf1 lbf lb1",
  440104: "tby ty1 tyh yh1 ylh yl1 ylb yb1",
  440105: "ylh yh1 tyh th1 kth khp hp3 hp2 hp1 lhp lh1",
  440106: "kbt kt1 kt2 kth th1 tyh ty1 tby tb3 tb2 tb1",
  440111: "hbf hb5 hb4 hb3 hb2 hb1 hcb cb1 chb kb1 kb2 kbt tb1 tb2 tb3 tby yb1 ylb lb1 lbf bf1 bf2",
  440112: "chb ch1 czh zh4 zh3 zh2 zh1 zhd kpd kp1 khp kth kt2 kt1 kbt kb2 kb1",
  440113: "lhp hp1 hp2 hp3 khp kp1 kpd p5 p4 pne pn3 pn2 pn1 pnf p3 p2 p1 lf4",
  440114: "a1 a2 a3 a4 a5 hc1 hc2 hc3 hcb hb1 hb2 hb3 hb4 hb5 hbf hf1 hf2",
  440115: "pnf pn1 pn2 pn3 pne n1 n2 n3 n4 n5 n6 n7 n8 n9 n10",
  440117: "hc1 c1 c2 c3 c4 c5 c6 c7 c8 c9 c10 czl cz1 cz2 cz3 czh ch1 chb cb1 hcb hc3 hc2",
  440118: "czl z1 z2 z3 z4 z5 z6 z7 z8 zhd zh1 zh2 zh3 zh4 czh cz3 cz2 cz1",
};

const CENTRE = [113.29, 23.12];
const REACH = 0.86; // degrees from the centre to the farthest point
const LENS = 2.1; // the centre is enlarged, or its districts would be too small to read and to press
const FLAT = Math.cos((23.1 * Math.PI) / 180);

/** Enlarges what is near the centre; neighbours stay neighbours. */
function through([lon, lat]) {
  const x = (lon - CENTRE[0]) * FLAT;
  const y = CENTRE[1] - lat;
  const far = Math.hypot(x, y) / REACH;
  const grown = far === 0 ? 0 : ((LENS + 1) * far) / (LENS * far + 1) / far;
  return [x * grown, y * grown];
}

const MOVED = Object.fromEntries(Object.entries(POINTS).map(([name, point]) => [name, through(point)]));

/** Points of an outline in a box `width` wide, and the box's height. */
export function projected(width) {
  const all = Object.values(MOVED);
  const left = Math.min(...all.map((one) => one[0]));
  const top = Math.min(...all.map((one) => one[1]));
  const scale = (width - 8) / (Math.max(...all.map((one) => one[0])) - left);
  const place = ([x, y]) => [(x - left) * scale + 4, (y - top) * scale + 4];
  const outlines = Object.fromEntries(
    Object.entries(OUTLINES).map(([code, names]) => [code, names.split(" ").map((name) => place(MOVED[name]))]),
  );
  return { outlines, height: (Math.max(...all.map((one) => one[1])) - top) * scale + 8 };
}
