// Which attempt is meant: the one under a pointer, or the one that arrows lead to. What is found is {bar, row}, or null.

import { placeOf } from "./axis.js";
import { AXIS_PX, rowAt } from "./draw.js";
import { xOf } from "./view.js";

const BESIDE_PX = 6; // beside a bar that still counts as on it

/** The bar at a point of the picture; `scene`: {rows, tops, scroll, axis, seen, width, gutter}. */
export function barAt(scene, { x, y }) {
  const { rows, tops, scroll, axis } = scene;
  if (y < AXIS_PX || !rows.length || y - AXIS_PX + scroll > tops.at(-1)) return null;
  const row = rowAt(tops, y - AXIS_PX + scroll);
  let nearest = null;
  let best = BESIDE_PX;
  for (const bar of rows[row].bars) {
    const away = Math.max(xOf(scene, placeOf(axis, bar.from)) - x, x - xOf(scene, placeOf(axis, bar.end)), 0);
    if (away <= best) [nearest, best] = [bar, away];
    if (away === 0 && best === 0) break;
  }
  return nearest && { bar: nearest, row };
}

/** The first bar that `wanted` is true of. */
export function firstOf(rows, wanted = () => true) {
  for (let row = 0; row < rows.length; row += 1) {
    const bar = rows[row].bars.find(wanted);
    if (bar) return { bar, row };
  }
  return null;
}

/** From what is picked to the bar `step` further in its row, or at the row's end to the next row; the first of all from none. */
export function beside(rows, picked, step) {
  if (!picked) return firstOf(rows);
  const bars = rows[picked.row].bars;
  const bar = bars[bars.indexOf(picked.bar) + step];
  return bar ? { bar, row: picked.row } : below(rows, picked, step);
}

/** From what is picked to the bar nearest in time in the next row (`step` 1) or the one before (-1) that has any. */
export function below(rows, picked, step) {
  if (!picked) return firstOf(rows);
  for (let row = picked.row + step; row >= 0 && row < rows.length; row += step) {
    const bar = nearestIn(rows[row].bars, picked.bar.from);
    if (bar) return { bar, row };
  }
  return null;
}

function nearestIn(bars, from) {
  return bars.reduce((best, bar) => (best && Math.abs(best.from - from) <= Math.abs(bar.from - from) ? best : bar), null);
}
