// What of the axis is in sight: `seen` is [from, to] on the axis, `whole` all of it. A view of null is all of it.

const LEAST_VIEW_S = 0.0005;

/** The view of what lies between two places, moved so that it is inside `whole`. */
export function viewOf(whole, from, to) {
  const length = Math.min(Math.max(to - from, LEAST_VIEW_S), whole[1]);
  if (length >= whole[1] * 0.999) return null;
  const start = Math.min(Math.max(from, 0), whole[1] - length);
  return [start, start + length];
}

/** The view that is `factor` times as close, `around` staying where it is: the middle unless told otherwise. */
export function zoomed(seen, whole, factor, around = (seen[0] + seen[1]) / 2) {
  const length = Math.max((seen[1] - seen[0]) / factor, LEAST_VIEW_S);
  const share = (around - seen[0]) / (seen[1] - seen[0]);
  return viewOf(whole, around - share * length, around + (1 - share) * length);
}

/** The view moved along by a share of what is in sight. */
export function panned(seen, whole, share) {
  const by = share * (seen[1] - seen[0]);
  return viewOf(whole, seen[0] + by, seen[1] + by);
}

/** The view in which `place` is: null where it is in sight already, else {view}, with a third of it before the place. */
export function moved(seen, whole, place) {
  if (place >= seen[0] && place <= seen[1]) return null;
  const length = seen[1] - seen[0];
  return { view: viewOf(whole, place - length / 3, place + (2 * length) / 3) };
}

/** The place on the axis at `x` pixels, of a picture with `gutter` pixels before the axis. */
export function vAt({ seen, width, gutter }, x) {
  return seen[0] + ((x - gutter) / Math.max(1, width - gutter)) * (seen[1] - seen[0]);
}

/** Where on the picture a place on the axis is, in pixels. */
export function xOf({ seen, width, gutter }, v) {
  return gutter + ((v - seen[0]) / (seen[1] - seen[0])) * (width - gutter);
}
