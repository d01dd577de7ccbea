// Why nothing was under way: the times in which a run was paused, or nobody worked on it (`spans` of its document).

export const CAUSES = {
  paused: { word: "paused", tint: "--warn-tint", edge: "--warn" },
  away: { word: "unattended", tint: "--off-tint", edge: "--off" },
};

const SHARE = 0.1; // of a gap: a cause that has less of it is not its cause

/** Spans as {kind, from, to, open}, in the order of their begin, in seconds since `origin`; an open one goes on until `now`. */
export function spansOf(told = {}, run, origin, now) {
  const since = (text) => (Date.parse(text) - origin) / 1000;
  return Object.values(told)
    .filter(({ kind }) => Object.hasOwn(CAUSES, kind))
    .map(({ kind, from, to = run.ended_at }) => {
      const begin = since(from);
      return { kind, from: begin, to: Math.max(begin, to === undefined ? now : since(to)), open: to === undefined };
    })
    .sort((one, other) => one.from - other.from);
}

/** In words what a time without work came from: `paused`, `paused and unattended`, or `without work`. */
export function causeOf(gap, spans) {
  const shares = new Map();
  for (const { kind, from, to } of spans) {
    const within = Math.min(to, gap.to) - Math.max(from, gap.from);
    if (within > 0) shares.set(kind, (shares.get(kind) ?? 0) + within);
  }
  const causes = [...shares].filter(([, within]) => within >= SHARE * (gap.to - gap.from)).map(([kind]) => CAUSES[kind].word);
  return causes.join(" and ") || "without work";
}

/** [kind, seconds together, whether one goes on] of each cause that there was. */
export function sumsOf(spans) {
  return Object.keys(CAUSES)
    .map((kind) => [kind, spans.filter((span) => span.kind === kind)])
    .filter(([, some]) => some.length)
    .map(([kind, some]) => [kind, some.reduce((sum, { from, to }) => sum + to - from, 0), some.some(({ open }) => open)]);
}
