// How tasks are filtered and sorted in the table.
import { groupOf, rankOf } from "./states.js";

// The newest attempt of a task, or undefined.
export function lastAttempt(task) {
  let last;
  for (const attempt of Object.values(task.attempts ?? {})) if (!last || attempt.number > last.number) last = attempt;
  return last;
}

export function isUnderWay(task) {
  return task.state === "starting" || task.state === "running" || task.state === "stopping" || task.state === "exited";
}

export function isOver(task) {
  return !isUnderWay(task) && task.state !== "pending" && task.state !== "retrying";
}

// When an attempt began: the journal knows that for certain at its end only; until then, when we had it started.
export function beganOf(attempt) {
  return attempt?.started_at ?? (attempt && attempt.state !== "intended" && !attempt.ended_at ? attempt.intended_at : undefined);
}

// Seconds that its newest attempt took, or has taken by `now` (milliseconds); undefined where it never started.
export function tookOf(task, now) {
  const last = lastAttempt(task);
  const began = beganOf(last);
  if (!last || last.duration_s !== undefined || !began) return last?.duration_s;
  return Math.max(0, ((last.ended_at ? Date.parse(last.ended_at) : now) - Date.parse(began)) / 1000);
}

// What is known of an attempt's memory, and the word for it: of one that has ended its peak, where that was seen; else the
// task's last reading, which is that of its newest attempt.
export function memoryOf(task, attempt) {
  if (attempt?.memory_peak_bytes !== undefined) return { word: "Memory, peak", bytes: attempt.memory_peak_bytes };
  return { word: "Memory", bytes: task?.usage?.memory_bytes };
}

// A test of tasks: `text` is sought in id, reason, what the agent says, and command; `state` is a group or one state.
export function filterOf({ text = "", state = "", wave = "", cause = "" }) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return (task) => {
    if (state && groupOf(task.state) !== state && task.state !== state) return false;
    if (cause && task.cause !== cause) return false;
    if (wave && String(task.wave) !== String(wave)) return false;
    if (!words.length) return true;
    const told = `${task.id}\n${task.why ?? ""}\n${task.says ?? ""}\n${task.command ?? ""}\n${task.agent ?? ""}`.toLowerCase();
    return words.every((word) => told.includes(word));
  };
}

// By time, what still runs is above all that is over, and the longest of it comes first: that order does not change by
// itself as time goes by.
function timeOf(task) {
  const last = lastAttempt(task);
  const began = beganOf(last);
  if (!began) return -1;
  return last.duration_s ?? 1e12 - Date.parse(began) / 1000;
}

const PARTS = {
  plan: (task) => task.wave * 1e9 + task.place,
  state: (task) => -rankOf(task.state),
  task: (task) => task.id.toLowerCase(),
  took: timeOf,
  memory: (task) => task.usage?.memory_bytes ?? -1,
  cpu: (task) => task.usage?.cpu_percent ?? -1,
  attempts: (task) => Object.keys(task.attempts ?? {}).length,
  cost: (task) => task.cost_usd ?? -1,
};

export const UPWARDS = ["task", "plan"];

export const SORTS = Object.keys(PARTS);

// An order of tasks by one column; where that says nothing, by their place in the plan. `task` and `plan` are sorted
// upwards, all others with the most first; `turned` the other way round.
export function orderOf(column, turned = false) {
  const part = PARTS[column] ?? PARTS.state;
  const sign = (UPWARDS.includes(column) ? 1 : -1) * (turned ? -1 : 1);
  return (one, other) => {
    const [a, b] = [part(one), part(other)];
    if (a !== b) return a < b ? -sign : sign;
    return one.wave - other.wave || one.place - other.place || (one.key < other.key ? -1 : one.key > other.key ? 1 : 0);
  };
}
