import assert from "node:assert/strict";
import { test } from "node:test";
import { Rows } from "../src/lib/rows.js";
import { GROUPS, TASK_STATES, groupOf } from "../src/lib/states.js";
import { SHAPES } from "../src/lib/shapes.js";
import { SORTS, filterOf, isOver, isUnderWay, lastAttempt, memoryOf, orderOf, tookOf } from "../src/lib/tasks.js";

const STATES = Object.keys(TASK_STATES);

// A repeatable source of numbers (mulberry32).
function numbers(seed) {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

function task(number, pick) {
  const started_at = new Date(1e12 + pick(50) * 1000).toISOString();
  const attempt = { number: 1, state: "running", started_at, ...(pick(2) ? { duration_s: pick(9) } : {}) };
  return {
    key: `k${number}`,
    id: `task ${pick(40)}`,
    wave: 1 + pick(3),
    place: pick(5),
    state: STATES[pick(STATES.length)],
    ...(pick(3) ? { attempts: { 1: attempt } } : {}),
    ...(pick(2) ? { usage: { memory_bytes: pick(6), cpu_percent: pick(6) } } : {}),
    ...(pick(4) ? {} : { cost_usd: pick(3) }),
  };
}

test("rows that changed one by one stand as if all were filtered and sorted anew", () => {
  const pick = numbers(7);
  for (const column of SORTS) {
    for (const turned of [false, true]) {
      const rule = { accepts: filterOf({ state: ["", "running", "failed"][pick(3)] }), compare: orderOf(column, turned) };
      const entries = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`k${at}`, task(at, pick)]));
      const rows = new Rows(rule);
      rows.reset(entries);
      for (let step = 0; step < 60; step += 1) {
        const keys = [...new Set(Array.from({ length: 1 + pick(4) }, () => `k${pick(260)}`))];
        for (const key of keys) {
          if (pick(5)) entries[key] = task(Number(key.slice(1)), pick);
          else delete entries[key];
        }
        rows.change(keys, entries);
        assert.deepEqual(rows.shown, Object.values(entries).filter(rule.accepts).sort(rule.compare), `${column} ${turned}`);
      }
    }
  }
});

test("a change of many at once is taken as well", () => {
  const pick = numbers(3);
  const entries = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`k${at}`, task(at, pick)]));
  const rows = new Rows({ accepts: () => true, compare: orderOf("state") });
  rows.reset(entries);
  for (const key of Object.keys(entries)) entries[key] = task(Number(key.slice(1)), pick);
  rows.change(Object.keys(entries), entries);
  assert.deepEqual(rows.shown, Object.values(entries).sort(orderOf("state")));
});

test("one change among 20,000 rows costs far less than sorting them", () => {
  const pick = numbers(11);
  const entries = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`k${at}`, task(at, pick)]));
  let compared = 0;
  const compare = orderOf("state");
  const rows = new Rows({ accepts: () => true, compare: (a, b) => (compared++, compare(a, b)) });
  rows.reset(entries);
  compared = 0;
  entries.k77 = { ...entries.k77, state: "oom" };
  rows.change(["k77"], entries);
  assert.ok(compared <= 32, `${compared} comparisons`);
});

test("words are sought in all that a task says of itself, each of them", () => {
  const told = { key: "a", id: "Lint-API", state: "failed", wave: 2, place: 0, why: "exit code 3", command: "ruff check" };
  assert.ok(filterOf({ text: "lint RUFF" })(told));
  assert.ok(filterOf({ text: " code 3 ", state: "failed", wave: "2" })(told));
  assert.ok(!filterOf({ text: "lint mypy" })(told));
  assert.ok(!filterOf({ wave: "1" })(told));
  assert.ok(!filterOf({ state: "running" })(told));
  assert.ok(filterOf({ state: "oom" })({ ...told, state: "oom" }));
  assert.ok(filterOf({ state: "failed" })({ ...told, state: "oom" }));
});

test("what failed comes first by state, what runs longest by time", () => {
  const of = (key, state, attempt) => ({ key, id: key, state, wave: 1, place: 0, attempts: attempt ? { 1: { number: 1, ...attempt } } : {} });
  const tasks = [
    of("done", "success", { started_at: "2026-11-27T00:00:00Z", duration_s: 90 }),
    of("new", "running", { started_at: "2026-11-27T00:05:00Z" }),
    of("old", "running", { started_at: "2026-11-27T00:01:00Z" }),
    of("bad", "failed", { started_at: "2026-11-27T00:00:00Z", duration_s: 3 }),
    of("waits", "pending"),
  ];
  const keys = (column) => [...tasks].sort(orderOf(column)).map((each) => each.key);
  assert.deepEqual(keys("state"), ["bad", "new", "old", "waits", "done"]);
  assert.deepEqual(keys("took"), ["old", "new", "done", "bad", "waits"]);
  assert.deepEqual(keys("task"), ["bad", "done", "new", "old", "waits"]);
  const placed = [{ ...tasks[0], wave: 2 }, { ...tasks[1], place: 1 }, tasks[2]];
  const order = (turned) => [...placed].sort(orderOf("plan", turned)).map((each) => each.key);
  assert.deepEqual([order(false), order(true)], [["old", "new", "done"], ["done", "new", "old"]]);
  assert.equal(tookOf(tasks[1], Date.parse("2026-11-27T00:05:30Z")), 30);
  assert.equal(tookOf(tasks[0], 0), 90);
  assert.equal(tookOf(tasks[4], 0), undefined);
  assert.equal(lastAttempt({ attempts: { 10: { number: 10 }, 9: { number: 9 } } }).number, 10);
});

test("each state has a word, a shape that is drawn and a group; verdicts have shapes of their own", () => {
  const groups = GROUPS.map((each) => each.name);
  for (const [state, told] of Object.entries(TASK_STATES)) {
    assert.ok(SHAPES[told.shape], `${state}: no shape ${told.shape}`);
    assert.ok(told.word && groups.includes(groupOf(state)));
    assert.ok(!(isUnderWay({ state }) && isOver({ state })));
  }
  const verdicts = ["success", "failed", "timeout", "oom", "watchdog", "cancelled", "lost", "start_error", "rate_limited", "skipped"];
  assert.equal(new Set(verdicts.map((each) => TASK_STATES[each].shape)).size, verdicts.length);
});

test("of an ended attempt the peak of its memory is told, never a reading from before its end", () => {
  const usage = { memory_bytes: 604 * 1024 };
  assert.deepEqual(memoryOf({ usage }, { number: 1, memory_peak_bytes: 3 * 2 ** 20 }), { word: "Memory, peak", bytes: 3 * 2 ** 20 });
  assert.deepEqual(memoryOf({ usage }, { number: 2, state: "running" }), { word: "Memory", bytes: 604 * 1024 });
  assert.deepEqual(memoryOf({}, undefined), { word: "Memory", bytes: undefined });
});
