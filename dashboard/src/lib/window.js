// Which of many rows of one height are to be drawn: those in sight and a few around them.

// `above` is how far the list's top is above the top of what is in sight (negative: below it), all in pixels.
export function windowOf({ above, height, row, count, around = 8 }) {
  const first = Math.max(0, Math.min(count, Math.floor(above / row)) - around);
  const last = Math.min(count, Math.max(first, Math.ceil((above + height) / row) + around));
  return { first, last: Math.max(first, last) };
}

// How far to scroll so that row `at` is in sight: 0 where it is already. `margin` is hidden at the top (a fixed head).
export function toShow({ at, above, height, row, margin = 0 }) {
  const top = at * row - above;
  if (top < margin) return top - margin;
  if (top + row > height) return top + row - height;
  return 0;
}
