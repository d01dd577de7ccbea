// The time axis. Where nothing ran for long (the run was paused, or resumed hours later) time is cut short: such a gap
// takes a small fixed width, so that the work on both sides of it can be seen. Places on the axis are `v`, which grow
// with time and are equal to seconds outside gaps.

const LONG_S = 10; // a shorter time without work is never cut
const LONG_SHARE = 0.15; // nor one that is less than this share of the time with work
const CUT_SHARE = 0.04; // what a gap takes of the axis, each
const ALL_CUTS_SHARE = 0.3; // and all gaps together at most

/** An axis over these bars (`from` and `end`); `cut` false keeps all times to scale, `bound` is to be in sight. */
export function axisOf(bars, { cut = true, bound = undefined, until = 0 } = {}) {
  const busy = busyOf(bars);
  const work = busy.reduce((sum, [from, to]) => sum + to - from, 0);
  const gaps = [];
  const note = (from, to) => {
    if (to - from > Math.max(LONG_S, LONG_SHARE * work)) gaps.push({ from, to });
  };
  let last = 0;
  for (const [from, to] of busy) {
    note(last, from);
    last = Math.max(last, to);
  }
  note(last, until);
  const pieces = piecesOf(gaps, Math.max(last, until), cut ? cutWidth(gaps, work) : null);
  const axis = { gaps, pieces, end: pieces.at(-1).vTo };
  if (bound !== undefined) stretch(axis, bound);
  return axis;
}

/** The union of the bars' times, as a list of [from, to]. */
function busyOf(bars) {
  const spans = bars.map((bar) => [bar.from, bar.end]).sort((one, other) => one[0] - other[0]);
  const busy = [];
  for (const [from, to] of spans) {
    const last = busy.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else busy.push([from, to]);
  }
  return busy;
}

function cutWidth(gaps, work) {
  return Math.max(0.05, work) * Math.min(CUT_SHARE, ALL_CUTS_SHARE / Math.max(1, gaps.length));
}

function piecesOf(gaps, end, width) {
  const pieces = [];
  let at = 0;
  let v = 0;
  const add = (to, gap) => {
    const length = gap && width !== null ? width : to - at;
    pieces.push({ from: at, to, vFrom: v, vTo: v + length, gap });
    at = to;
    v += length;
  };
  for (const gap of gaps) {
    if (gap.from > at) add(gap.from, false);
    add(gap.to, true);
  }
  if (end > at || !pieces.length) add(Math.max(end, at + 0.001), false);
  return pieces;
}

/** Where `seconds` of time outside gaps have passed; the axis is made longer where it ends before. */
function stretch(axis, seconds) {
  let left = seconds;
  for (const piece of axis.pieces) {
    if (piece.gap) continue;
    const length = piece.to - piece.from;
    if (left <= length) {
      axis.bound = piece.vFrom + left;
      return;
    }
    left -= length;
  }
  axis.bound = axis.end + left;
  axis.pieces.push({ from: axis.pieces.at(-1).to, to: axis.pieces.at(-1).to + left, vFrom: axis.end, vTo: axis.bound, gap: false });
  axis.end = axis.bound;
}

/** The place of a time; beyond both ends the axis goes on to scale. */
export function placeOf(axis, seconds) {
  const piece = axis.pieces[find(axis.pieces, "to", seconds)];
  const scale = (piece.vTo - piece.vFrom) / (piece.to - piece.from);
  return piece.vFrom + (seconds - piece.from) * (piece.gap ? scale : 1);
}

/** The time at a place. */
export function timeAt(axis, v) {
  const piece = axis.pieces[find(axis.pieces, "vTo", v)];
  const scale = (piece.to - piece.from) / (piece.vTo - piece.vFrom);
  return piece.from + (v - piece.vFrom) * (piece.gap ? scale : 1);
}

function find(pieces, name, value) {
  let low = 0;
  let high = pieces.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (pieces[middle][name] >= value) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What a clock shows, in seconds. */
export const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];

/** A step between ticks, in seconds, of at least `least`: 1, 2 or 5 times a power of ten, or what a clock shows. */
export function stepOf(least) {
  if (least > 86400) return Math.ceil(least / 86400) * 86400;
  if (least > 0.5) return STEPS.find((step) => step >= least);
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= least * (1 - 1e-9));
}

/** Ticks between two places, `least` apart: {v, seconds}. None inside gaps. */
export function ticksOf(axis, vFrom, vTo, least) {
  const step = stepOf(least);
  const ticks = [];
  for (const piece of axis.pieces) {
    if (piece.gap || piece.vTo < vFrom || piece.vFrom > vTo) continue;
    const from = Math.max(piece.from, piece.from + vFrom - piece.vFrom);
    const to = Math.min(piece.to, piece.from + vTo - piece.vFrom);
    for (let number = Math.ceil(from / step - 1e-9); number * step <= to + 1e-9; number += 1)
      ticks.push({ v: piece.vFrom + number * step - piece.from, seconds: number * step });
  }
  return { step, ticks };
}
