// Readings over time, as `UsageHistory` and `HostHistory` have them: one list for each figure, all of one length.
// A server sends them once; who follows adds each new reading.

export const KEPT = 300;
export const RUN_KEPT = 1200; // of a run as a whole: with what it wrote down before

// `history` with one reading more, which is `{at: ISO time, ...figures}`; figures that it lacks are null.
// `kept` of them stay.
export function withReading(history, reading, figures, kept = KEPT) {
  const at = Date.parse(reading.at) / 1000;
  const known = history ?? { at: [] };
  const last = known.at[known.at.length - 1];
  if (Number.isNaN(at) || (last !== undefined && at <= last)) return known;
  const from = Math.max(0, known.at.length + 1 - kept);
  const longer = { at: [...known.at.slice(from), at] };
  for (const figure of figures) {
    const before = known[figure] ?? new Array(known.at.length).fill(null);
    longer[figure] = [...before.slice(from), reading[figure] ?? null];
  }
  return longer;
}

export const USAGE = ["memory_bytes", "cpu_percent"];
export const HOST = ["cpu_percent", "memory_used_bytes", "containers_cpu_percent", "containers_memory_bytes"];

export function hostReading(host) {
  return { ...host, memory_used_bytes: host.memory_total_bytes - host.memory_available_bytes };
}

// The last `many` readings.
export function newest(history, many) {
  if (history.at.length <= many) return history;
  return Object.fromEntries(Object.entries(history).map(([figure, values]) => [figure, values.slice(-many)]));
}
