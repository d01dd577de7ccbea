// How each state of a task, attempt, wave and run is told: a word, a shape, and a tone (a colour of tokens.css).
// The shape alone tells verdicts apart, also in grey.

// Order is how pressing it is: what a person looks for first comes first when sorted by state.
export const TASK_STATES = {
  failed: { word: "failed", tone: "bad", shape: "cross" },
  oom: { word: "out of memory", tone: "mem", shape: "drop" },
  timeout: { word: "timeout", tone: "warn", shape: "clock" },
  watchdog: { word: "watchdog", tone: "warn", shape: "eye" },
  start_error: { word: "start error", tone: "bad", shape: "triangle" },
  lost: { word: "lost", tone: "odd", shape: "question" },
  rate_limited: { word: "rate limited", tone: "warn", shape: "bars" },
  stopping: { word: "stopping", tone: "warn", shape: "square" },
  running: { word: "running", tone: "accent", shape: "play" },
  exited: { word: "exited", tone: "accent", shape: "ring" },
  starting: { word: "starting", tone: "accent", shape: "dashes" },
  intended: { word: "starting", tone: "accent", shape: "dashes" },
  retrying: { word: "retrying", tone: "warn", shape: "again" },
  pending: { word: "queued", tone: "off", shape: "hollow" },
  cancelled: { word: "cancelled", tone: "off", shape: "slash" },
  skipped: { word: "skipped", tone: "off", shape: "skip" },
  success: { word: "succeeded", tone: "ok", shape: "check" },
};

export const RUN_STATES = {
  live: { word: "live", tone: "accent", shape: "play" },
  paused: { word: "paused", tone: "warn", shape: "bars" },
  draining: { word: "draining", tone: "warn", shape: "square" },
  unfinished: { word: "unfinished", tone: "odd", shape: "question" },
  success: { word: "succeeded", tone: "ok", shape: "check" },
  failed: { word: "failed", tone: "bad", shape: "cross" },
  interrupted: { word: "interrupted", tone: "warn", shape: "slash" },
  infrastructure: { word: "infrastructure", tone: "bad", shape: "triangle" },
  spawned: { word: "spawned", tone: "off", shape: "ring" },
  empty: { word: "empty", tone: "off", shape: "hollow" },
  damaged: { word: "damaged", tone: "bad", shape: "triangle" },
};

const WAVE_STATES = {
  waiting: { word: "waiting", tone: "off", shape: "hollow" },
  open: { word: "open", tone: "accent", shape: "play" },
  settled: { word: "settled", tone: "ok", shape: "check" },
};

const UNKNOWN = { tone: "off", shape: "question" };

// How a state is told; one that this page does not know yet, by its own name.
export function taskState(state) {
  return TASK_STATES[state] ?? { ...UNKNOWN, word: String(state).replaceAll("_", " ") };
}

// A live run may be paused or draining: that is what a person must see.
export function runState(run) {
  const state = run.state === "live" && run.draining ? "draining" : run.state === "live" && run.paused ? "paused" : run.state;
  return RUN_STATES[state] ?? { ...UNKNOWN, word: String(state) };
}

// A wave that settled with failures is not told as a success.
export function waveState(wave) {
  if (wave.state === "settled" && wave.tasks.failed) return { word: "settled", tone: "bad", shape: "cross" };
  if (wave.state === "settled" && wave.tasks.skipped) return { word: "settled", tone: "off", shape: "skip" };
  return WAVE_STATES[wave.state] ?? { ...UNKNOWN, word: String(wave.state) };
}

const RANK = new Map(Object.keys(TASK_STATES).map((state, at) => [state, at]));

// Where a state stands when sorted by how pressing it is.
export function rankOf(state) {
  return RANK.get(state) ?? 0;
}

// What the counts of a run or wave call a task in this state (`TaskCounts`).
export function groupOf(state) {
  if (state === "success") return "succeeded";
  if (state === "pending" || state === "retrying") return "pending";
  if (state === "starting" || state === "intended") return "starting";
  if (state === "running" || state === "stopping" || state === "exited") return "running";
  return state === "skipped" ? "skipped" : "failed";
}

// The states of a group, or the one state that is named; none for all.
export function statesOf(chosen) {
  if (!chosen) return [];
  return GROUPS.some((group) => group.name === chosen) ? Object.keys(TASK_STATES).filter((each) => groupOf(each) === chosen) : [chosen];
}

// The groups of a bar or a filter, in the order in which they are shown.
export const GROUPS = [
  { name: "failed", word: "failed", tone: "bad", shape: "cross" },
  { name: "running", word: "running", tone: "accent", shape: "play" },
  { name: "starting", word: "starting", tone: "accent", shape: "dashes" },
  { name: "pending", word: "queued", tone: "off", shape: "hollow" },
  { name: "skipped", word: "skipped", tone: "off", shape: "skip" },
  { name: "succeeded", word: "succeeded", tone: "ok", shape: "check" },
];
