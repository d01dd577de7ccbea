// What is drawn behind and over the rows of a timeline for times without work: their shades, and their causes in words.

import { lasting } from "../format.js";
import { placeOf } from "./axis.js";
import { causeOf, CAUSES } from "./spans.js";

const LINE_PX = 14; // of a line of words, from top to bottom
const LEAST_PX = 10; // across, of what has its words downwards: they may stand out a little
const HATCH_PX = 7;

/** Behind the rows: spans with the tint of their cause, hatched where nobody was there; cut gaps with dashed edges. */
export function drawBackdrop(plot, top) {
  const { context, axis, spans, height, colour, x } = plot;
  for (const piece of axis.pieces) {
    if (!piece.gap) continue;
    context.fillStyle = colour("--raised");
    context.fillRect(x(piece.vFrom), top, x(piece.vTo) - x(piece.vFrom), height - top);
  }
  for (const span of spans) drawSpan(plot, span, top);
  for (const piece of axis.pieces) {
    if (!piece.gap) continue;
    context.fillStyle = colour("--soft");
    for (const edge of [x(piece.vFrom), x(piece.vTo) - 1]) for (let y = top; y < height; y += 6) context.fillRect(edge, y, 1, 3);
  }
}

/** Where a span is in sight, [from, to] in pixels; null where it is not. */
function extentOf({ axis, gutter, width, x }, span) {
  const from = Math.max(gutter, x(placeOf(axis, span.from)));
  const to = Math.min(width, x(Math.min(axis.end, placeOf(axis, span.to))));
  return to > from ? [from, to] : null;
}

function drawSpan(plot, span, top) {
  const extent = extentOf(plot, span);
  if (!extent) return;
  const { context, height, colour } = plot;
  const [from, to] = extent;
  const { tint, edge } = CAUSES[span.kind];
  context.fillStyle = colour(tint);
  context.fillRect(from, top, Math.max(1, to - from), height - top);
  context.save();
  context.globalAlpha = 0.35;
  context.strokeStyle = context.fillStyle = colour(edge);
  context.lineWidth = 1;
  if (span.kind === "away") hatch(context, from, to, top, height);
  for (const at of [from, to - 1]) context.fillRect(at, top, 1, height - top);
  context.restore();
}

function hatch(context, from, to, top, height) {
  const tall = height - top;
  context.beginPath();
  context.rect(from, top, to - from, tall);
  context.clip();
  context.beginPath();
  for (let at = from - tall; at < to; at += HATCH_PX) {
    context.moveTo(at, height);
    context.lineTo(at + tall, top);
  }
  context.stroke();
}

/** Over the rows: how long each gap was and why; and of each span that no such word is in, its cause and how long it was. */
export function drawCauses(plot, top) {
  const { axis, spans, width, gutter, x } = plot;
  const told = [];
  for (const piece of axis.pieces) {
    const [from, to] = [x(piece.vFrom), x(piece.vTo)];
    if (!piece.gap || from < gutter || to > width) continue;
    if (drawWords(plot, `${lasting(piece.to - piece.from)} ${causeOf(piece, spans)}`, from, to, top)) told.push(piece);
  }
  for (const span of spans) {
    const extent = extentOf(plot, span);
    if (!extent || told.some((piece) => span.from < piece.to && piece.from < span.to)) continue;
    drawWords(plot, `${lasting(span.to - span.from)} ${CAUSES[span.kind].word}`, ...extent, top);
  }
}

/** Along the top where there is room for that, else downwards; returns false where there is room for neither. */
function drawWords(plot, text, from, to, top) {
  const { context, height } = plot;
  const long = context.measureText(text).width;
  if (to - from >= long + 8) {
    onPlate(plot, text, (from + to - long) / 2, top + LINE_PX / 2 + 2, long);
    return true;
  }
  if (to - from < LEAST_PX || long > height - top - 10) return false;
  context.save();
  context.translate((from + to) / 2, top + 6);
  context.rotate(Math.PI / 2);
  onPlate(plot, text, 0, 0, long);
  context.restore();
  return true;
}

/** So that it can be read over bars and hatches. */
function onPlate({ context, colour }, text, x, y, long) {
  context.globalAlpha = 0.85;
  context.fillStyle = colour("--surface");
  context.fillRect(x - 2, y - LINE_PX / 2, long + 4, LINE_PX);
  context.globalAlpha = 1;
  context.fillStyle = colour("--text");
  context.fillText(text, x, y);
}
