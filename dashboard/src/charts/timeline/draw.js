// Draws a timeline on a canvas: what is in sight only, so that rows beyond count cost nothing.

import { SHAPES } from "../../lib/shapes.js";
import { groupOf, taskState } from "../../lib/states.js";
import { elapsed } from "../format.js";
import { placeOf, ticksOf } from "./axis.js";
import { drawBackdrop, drawCauses } from "./backdrop.js";

export const AXIS_PX = 26;
const TICK_PX = 76; // between two ticks, at least
const LEAST_PX = 2; // what the shortest attempt takes
const GLYPH_PX = 12;
const FONT = '12px Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif';

const paths = new Map(); // name of a shape -> Path2D

/** From tops of rows (`tops[i]` is that of row i, the last entry the height of all) to the row at `y`. */
export function rowAt(tops, y) {
  let low = 0;
  let high = tops.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= y) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Draw one picture.
 *
 * `scene`: {context, width, height, gutter, scroll, rows, tops, axis, spans, view: [vFrom, vTo], colour, picked}.
 * `colour` gives the colour of a custom property, `picked` is the bar that is selected, if any.
 */
export function draw(scene) {
  const { context, width, height, colour } = scene;
  context.clearRect(0, 0, width, height);
  context.font = FONT;
  context.textBaseline = "middle";
  const plot = { ...scene, x: (v) => scene.gutter + ((v - scene.view[0]) / (scene.view[1] - scene.view[0])) * (width - scene.gutter) };
  context.save();
  clip(context, scene.gutter, 0, width - scene.gutter, height);
  drawBackdrop(plot, AXIS_PX);
  drawTicks(plot);
  context.restore();
  context.save();
  clip(context, 0, AXIS_PX, width, height - AXIS_PX);
  const last = Math.min(scene.rows.length - 1, rowAt(scene.tops, scene.scroll + height));
  for (let index = rowAt(scene.tops, scene.scroll); index <= last; index += 1) drawRow(plot, index);
  context.restore();
  drawCauses(plot, AXIS_PX);
  drawBound(plot);
  context.fillStyle = colour("--line");
  context.fillRect(0, AXIS_PX - 1, width, 1);
}

function clip(context, x, y, width, height) {
  context.beginPath();
  context.rect(x, y, Math.max(0, width), Math.max(0, height));
  context.clip();
}

function drawTicks({ context, axis, view, width, height, gutter, colour, x }) {
  const least = ((view[1] - view[0]) * TICK_PX) / Math.max(1, width - gutter);
  const { step, ticks } = ticksOf(axis, view[0], view[1], least);
  let free = gutter - 1;
  for (const { v, seconds } of ticks) {
    context.fillStyle = colour("--line");
    context.fillRect(Math.round(x(v)), AXIS_PX, 1, height - AXIS_PX);
    const text = elapsed(seconds, step);
    const from = Math.round(x(v)) + 3;
    const to = from + context.measureText(text).width;
    if (from - 3 < free || to > width) continue;
    context.fillStyle = colour("--soft");
    context.fillText(text, from, AXIS_PX / 2);
    context.fillRect(from - 3, AXIS_PX - 8, 1, 8);
    free = to + 6;
  }
}

function drawRow(plot, index) {
  const { context, rows, tops, scroll, gutter, colour } = plot;
  const row = rows[index];
  const y = AXIS_PX + tops[index] - scroll;
  if (row.kind === "wave") return drawWave(plot, row, y);
  if (row.kind === "task") {
    context.fillStyle = colour("--soft");
    context.fillText(shortened(context, row.task.id, gutter - 14), 8, y + row.height / 2 + 1);
  }
  context.save();
  clip(context, gutter, AXIS_PX, plot.width - gutter, plot.height - AXIS_PX);
  if (row.kind === "task" && !row.bars.length) drawNone(plot, row, y);
  drawBars(plot, row, y);
  context.restore();
}

function drawWave({ context, axis, width, gutter, colour, x }, row, y) {
  context.fillStyle = colour("--raised");
  context.fillRect(0, y, width, row.height);
  context.fillStyle = colour("--text");
  context.font = `600 ${FONT}`;
  context.fillText(shortened(context, `Wave ${row.wave.number}`, gutter - 10), 8, y + row.height / 2 + 1);
  context.font = FONT;
  if (row.wave.from === undefined) return;
  const from = Math.max(gutter, x(placeOf(axis, row.wave.from)));
  const to = Math.min(width, x(row.wave.to === undefined ? axis.end : placeOf(axis, row.wave.to)));
  if (to < gutter || from > width) return;
  context.fillStyle = colour("--soft");
  context.fillRect(from, y + row.height - 5, Math.max(1, to - from), 2);
  context.fillRect(from, y + row.height - 8, 1, 8);
  if (row.wave.to !== undefined) context.fillRect(to - 1, y + row.height - 8, 1, 8);
}

function drawNone({ context, gutter, width, colour }, row, y) {
  const text = row.task.why ? `${taskState(row.task.state).word}: ${row.task.why}` : taskState(row.task.state).word;
  context.fillStyle = colour("--soft");
  context.font = `italic ${FONT}`;
  context.fillText(shortened(context, text, width - gutter - 12), gutter + 6, y + row.height / 2 + 1);
  context.font = FONT;
}

/** Bars of a row; of those that fall on the same pixel the first is drawn, and any failure over it. */
function drawBars(plot, row, y) {
  const { axis, view, x, width, gutter } = plot;
  let filled = -Infinity; // up to which pixel
  let drawn = false;
  for (const bar of row.bars) {
    const vEnd = placeOf(axis, bar.end);
    const vFrom = placeOf(axis, bar.from);
    if (vEnd < view[0] || vFrom > view[1]) continue;
    drawn = true;
    const from = Math.max(x(vFrom), gutter - 20);
    const to = Math.min(x(vEnd), width + 20);
    if (to - from < 1 && to <= filled && bar !== plot.picked && !isFailure(bar.state)) continue;
    drawBar(plot, row, bar, { y, from, to });
    filled = Math.max(filled, from + LEAST_PX, to);
  }
  if (!drawn && row.bars.length) pointAway(plot, row, y + row.height / 2);
}

/** Of a row whose bars are all beside what is in sight: where they are. */
function pointAway({ context, axis, view, width, gutter, colour }, row, y) {
  const before = placeOf(axis, row.bars[0].from) < view[0];
  const [tip, back] = before ? [gutter + 4, gutter + 10] : [width - 4, width - 10];
  context.fillStyle = colour("--line-strong");
  context.beginPath();
  context.moveTo(tip, y);
  context.lineTo(back, y - 4);
  context.lineTo(back, y + 4);
  context.fill();
}

function drawBar(plot, row, bar, { y, from, to }) {
  const { context, axis, colour, x } = plot;
  const look = taskState(bar.state);
  const top = y + 3;
  const height = row.height - 6;
  const begin = bar.start === undefined ? to : Math.min(Math.max(from, x(placeOf(axis, bar.start))), to);
  context.fillStyle = colour(`--${look.tone}`);
  if (begin - from >= 1) {
    context.globalAlpha = 0.45;
    context.fillRect(from, top + height / 2 - 1, begin - from, 2); // being started
    context.globalAlpha = 1;
  }
  const width = Math.max(LEAST_PX, to - begin);
  const left = bar.start === undefined ? to - LEAST_PX : begin;
  context.fillRect(left, top, width - (width > 4 ? 1 : 0), height); // a hair between neighbours
  if (bar.open) fadeEnd(context, left + width, top, height, colour(`--${look.tone}`));
  drawGlyph(plot, bar, look, { left, width, top, height, row });
  if (bar === plot.picked) {
    context.strokeStyle = colour("--text");
    context.lineWidth = 2;
    context.strokeRect(left - 2, top - 2, Math.max(width, LEAST_PX) + 4, height + 4);
  }
}

function fadeEnd(context, x, top, height, colour) {
  context.fillStyle = colour;
  for (let step = 0; step < 3; step += 1) context.fillRect(x + 2 + step * 4, top, 2, height);
}

/** Its shape: inside where it fits; of a failure that is too short beside it, or in a lane as a mark on top of it. */
function drawGlyph({ context, colour }, bar, look, { left, width, top, height, row }) {
  const size = Math.min(GLYPH_PX, height);
  if (width >= size + 4) return stamp(context, look.shape, left + 3, top + (height - size) / 2, size, colour("--surface"));
  if (!isFailure(bar.state)) return undefined;
  if (row.kind === "task") return stamp(context, look.shape, left + width + 3, top + (height - size) / 2, size, colour(`--${look.tone}`));
  context.beginPath();
  context.moveTo(left - 3, top - 3);
  context.lineTo(left + width + 3, top - 3);
  context.lineTo(left + width / 2, top + 3);
  context.fill();
  return undefined;
}

function stamp(context, name, x, y, size, colour) {
  if (!paths.has(name)) paths.set(name, new Path2D(SHAPES[name].paths.join(" ")));
  context.save();
  context.translate(x, y);
  context.scale(size / 16, size / 16);
  if (SHAPES[name].fill) {
    context.fillStyle = colour;
    context.fill(paths.get(name));
  } else {
    context.lineWidth = 2;
    context.lineCap = "round";
    context.lineJoin = "round";
    context.strokeStyle = colour;
    context.stroke(paths.get(name));
  }
  context.restore();
}

function isFailure(state) {
  return groupOf(state) === "failed";
}

function drawBound({ context, axis, height, width, gutter, colour, x }) {
  if (axis.bound === undefined) return;
  const at = Math.round(x(axis.bound));
  if (at < gutter || at > width) return;
  context.fillStyle = colour("--text");
  for (let y = AXIS_PX; y < height; y += 8) context.fillRect(at - 1, y, 2, 5);
  context.beginPath();
  context.moveTo(at - 5, AXIS_PX - 7);
  context.lineTo(at + 5, AXIS_PX - 7);
  context.lineTo(at, AXIS_PX);
  context.fill();
}

/** `text` cut to `width` pixels, with an ellipsis; control characters as signs, on one line. */
function shortened(context, text, width) {
  const shown = text.slice(0, 200).replace(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "�");
  if (context.measureText(shown).width <= width) return shown;
  let low = 0;
  let high = shown.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (context.measureText(`${shown.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return `${shown.slice(0, low)}…`;
}
