import assert from "node:assert/strict";
import { test } from "node:test";
import { take } from "../src/lib/documents.js";
import { KEPT, withReading } from "../src/lib/history.js";
import { merge, mergeEntries } from "../src/lib/patch.js";

// The examples of RFC 7396, appendix A.
const EXAMPLES = [
  [{ a: "b" }, { a: "c" }, { a: "c" }],
  [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
  [{ a: "b" }, { a: null }, {}],
  [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
  [{ a: ["b"] }, { a: "c" }, { a: "c" }],
  [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
  [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
  [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
  [["a", "b"], ["c", "d"], ["c", "d"]],
  [{ a: "b" }, ["c"], ["c"]],
  [{ a: "foo" }, null, null],
  [{ a: "foo" }, "bar", "bar"],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: "b", c: null }, { a: "b" }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
];

test("patches do as the examples of RFC 7396 say, and change nothing that they were given", () => {
  for (const [target, patch, wanted] of EXAMPLES) {
    const before = structuredClone(target);
    assert.deepEqual(merge(target, patch), wanted);
    assert.deepEqual(target, before);
  }
});

test("what a patch does not touch stays the same object", () => {
  const document = { run: { tasks: { total: 3 }, id: "a" }, waves: { 1: { number: 1 } } };
  const patched = merge(document, { run: { id: "b" } });
  assert.equal(patched.waves, document.waves);
  assert.equal(patched.run.tasks, document.run.tasks);
  assert.notEqual(patched.run, document.run);
});

test("entries are changed in place, each changed one is a new object, and the ids are told", () => {
  const entries = { a: { state: "running" }, b: { state: "pending" }, c: { state: "success" } };
  const { a, b } = entries;
  assert.deepEqual(mergeEntries(entries, { a: { state: "failed" }, c: null, d: { state: "pending" } }), ["a", "c", "d"]);
  assert.notEqual(entries.a, a);
  assert.equal(entries.b, b);
  assert.deepEqual(Object.keys(entries), ["a", "b", "d"]);
});

test("what all of a run use together goes on from what the run wrote down before", () => {
  const document = { usage: { at: [1, 2], memory_bytes: [7, null], cpu_percent: [null, 50] }, usage_now: { at: "", memory_bytes: 1 } };
  const patch = { usage_now: { at: new Date(4000).toISOString(), memory_bytes: 9, cpu_percent: 25 } };
  assert.deepEqual(take(document, patch).members, ["usage_now", "usage"]);
  assert.deepEqual(document.usage, { at: [1, 2, 4], memory_bytes: [7, null, 9], cpu_percent: [null, 50, 25] });
  assert.deepEqual(take(document, { usage_now: null }).members, ["usage_now"]); // nobody works on it any more
  assert.equal(document.usage.at.length, 3);
});

test("who follows adds readings of usage to the histories, which no patch brings", () => {
  const document = {
    host: { at: "2026-11-27T00:00:00.000Z", memory_total_bytes: 10, memory_available_bytes: 4, cpu_percent: 1 },
    tasks: { k: { key: "k", state: "running" }, l: { key: "l", state: "running" } },
  };
  const changed = take(document, { host: { at: "2026-11-27T00:00:02.000Z", memory_available_bytes: 3, cpu_percent: 7 } });
  assert.deepEqual(changed.members, ["host", "history"]);
  assert.deepEqual(document.history.memory_used_bytes, [7]);
  assert.deepEqual(document.history.containers_memory_bytes, [null]);

  const at = "2026-11-27T00:00:04.000Z";
  assert.deepEqual(take(document, { tasks: { k: { usage: { at, memory_bytes: 5 } } } }).tasks, ["k"]);
  assert.deepEqual(document.tasks.k.history, { at: [Date.parse(at) / 1000], memory_bytes: [5], cpu_percent: [null] });
  assert.equal(document.tasks.l.history, undefined);
});

test("a history is bounded, keeps its lists of one length, and takes no reading twice", () => {
  let history;
  for (let second = 0; second < KEPT + 20; second += 1) {
    const reading = { at: new Date(second * 1000).toISOString(), memory_bytes: second };
    history = withReading(history, reading, ["memory_bytes"]);
    assert.equal(withReading(history, reading, ["memory_bytes"]), history);
  }
  assert.equal(history.at.length, KEPT);
  assert.equal(history.memory_bytes.length, KEPT);
  assert.equal(history.memory_bytes.at(-1), KEPT + 19);
  const wider = withReading(history, { at: new Date(1e9).toISOString(), cpu_percent: 1 }, ["memory_bytes", "cpu_percent"]);
  assert.equal(wider.cpu_percent.length, KEPT);
  assert.equal(wider.cpu_percent[0], null);
});
