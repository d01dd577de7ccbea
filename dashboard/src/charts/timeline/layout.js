// What a timeline shows, from the tasks and waves of a run: attempts as bars, in rows. Times are seconds since its start.

import { spansOf } from "./spans.js";

const UNDER_WAY = new Set(["intended", "running", "stopping", "exited"]); // states of an attempt that is not over

/**
 * A function from ({run, tasks, waves, spans}, now in milliseconds since the epoch) to {origin, now, tasks, waves, bars, spans}.
 *
 * A bar is {task, number, state, from, start, end, open}: `from` is when it was meant to start, `start` when it did;
 * `open` where it goes on, so that its `end` is now. A task is laid out once for each object that tells it: whoever
 * changes a task puts another object in its place.
 */
export function layouter() {
  let known = new WeakMap();
  let origin;
  return (told, now) => {
    const entries = told.tasks instanceof Map ? [...told.tasks.values()] : Object.values(told.tasks);
    const began = originOf(told.run, entries, now);
    if (began !== origin) [origin, known] = [began, new WeakMap()];
    const at = (now - origin) / 1000;
    const tasks = entries.map((entry) => {
      if (!known.has(entry)) known.set(entry, laidOut(entry, origin));
      return known.get(entry);
    });
    const bars = tasks.flatMap((task) => task.bars);
    for (const bar of bars) if (bar.open) bar.end = Math.max(at, bar.from);
    return { origin, now: at, tasks, waves: wavesOf(told.waves, origin), bars, spans: spansOf(told.spans, told.run, origin, at) };
  };
}

function originOf(run, entries, now) {
  if (run.started_at !== undefined) return Date.parse(run.started_at);
  const intended = entries.flatMap((entry) => Object.values(entry.attempts ?? {}).map((each) => Date.parse(each.intended_at)));
  return intended.reduce((first, each) => Math.min(first, each), now);
}

function since(text, origin) {
  return text === undefined ? undefined : (Date.parse(text) - origin) / 1000;
}

function laidOut(entry, origin) {
  const { key, id, wave, place, state, why } = entry;
  const task = { key, id, wave, place, state, why, bars: [] };
  task.bars = Object.values(entry.attempts ?? {}).map((attempt) => barOf(task, attempt, origin));
  task.bars.sort((one, other) => one.number - other.number);
  return task;
}

function barOf(task, { number, state, intended_at, started_at, ended_at, duration_s }, origin) {
  const from = since(intended_at, origin);
  const start = since(started_at, origin);
  const open = UNDER_WAY.has(state) && ended_at === undefined;
  const end = since(ended_at, origin) ?? (start ?? from) + (duration_s ?? 0);
  // The clocks of the host and of the engine may differ by a little.
  return { task, number, state, from: Math.min(from, start ?? from), start, end: Math.max(end, start ?? from), open };
}

function wavesOf(waves, origin) {
  const entries = waves instanceof Map ? [...waves.values()] : Object.values(waves);
  return entries
    .map((wave) => ({ ...wave, from: since(wave.opened_at, origin), to: since(wave.settled_at, origin) }))
    .sort((one, other) => one.number - other.number);
}

/**
 * Rows in the order in which they are drawn: {kind: "wave", wave, tasks, height}, and below it either one {kind:
 * "task", task, bars, height} for each task, or (`packed`) one {kind: "lane", bars, height} for each attempt that ran
 * beside others. `shown` is a set of states, or null for all.
 */
export function rowsOf(layout, { packed = false, shown = null } = {}) {
  const members = new Map(layout.waves.map((wave) => [wave.number, []]));
  for (const task of layout.tasks) {
    if (shown && !shown.has(task.state)) continue;
    if (!members.has(task.wave)) members.set(task.wave, []);
    members.get(task.wave).push(task);
  }
  const known = new Map(layout.waves.map((wave) => [wave.number, wave]));
  const rows = [];
  for (const [number, tasks] of members) {
    if (!tasks.length && shown) continue;
    rows.push({ kind: "wave", wave: known.get(number) ?? { number }, tasks: tasks.length, bars: [], height: 24 });
    if (packed) for (const bars of lanesOf(tasks)) rows.push({ kind: "lane", bars, height: 14 });
    else for (const task of tasks.sort(byStart)) rows.push({ kind: "task", task, bars: task.bars, height: 20 });
  }
  return rows;
}

function byStart(one, other) {
  const begin = (task) => task.bars[0]?.from ?? Infinity;
  return begin(one) - begin(other) || one.place - other.place || 0;
}

/** As few lanes as there were attempts at once: each goes into the lane that has been free for longest (O(n log n)). */
function lanesOf(tasks) {
  const bars = tasks.flatMap((task) => task.bars).sort((one, other) => one.from - other.from);
  const lanes = [];
  const free = []; // a binary heap of lanes by the end of their last bar
  for (const bar of bars) {
    if (free.length && free[0].end <= bar.from) {
      free[0].bars.push(bar);
      free[0].end = bar.end;
      sink(free);
    } else {
      const lane = { bars: [bar], end: bar.end };
      lanes.push(lane.bars);
      free.push(lane);
      rise(free);
    }
  }
  return lanes;
}

function rise(heap) {
  for (let at = heap.length - 1; at > 0; ) {
    const above = (at - 1) >> 1;
    if (heap[above].end <= heap[at].end) return;
    [heap[above], heap[at]] = [heap[at], heap[above]];
    at = above;
  }
}

function sink(heap) {
  for (let at = 0; ; ) {
    let least = at;
    for (const below of [2 * at + 1, 2 * at + 2]) if (below < heap.length && heap[below].end < heap[least].end) least = below;
    if (least === at) return;
    [heap[least], heap[at]] = [heap[at], heap[least]];
    at = least;
  }
}
