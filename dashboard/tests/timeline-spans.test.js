import assert from "node:assert/strict";
import { test } from "node:test";
import { axisOf } from "../src/charts/timeline/axis.js";
import { layouter } from "../src/charts/timeline/layout.js";
import { causeOf, spansOf, sumsOf } from "../src/charts/timeline/spans.js";

const START = Date.parse("2026-11-27T09:00:00.000Z");
const at = (seconds) => new Date(START + seconds * 1000).toISOString();
const live = { id: "r", state: "live", started_at: at(0) };
const span = (kind, from, to) => ({ kind, from, to });

test("spans are told in seconds, in their order, and one without an end goes on as long as the run does", () => {
  const told = { 2: { kind: "paused", from: at(50) }, 1: { kind: "away", from: at(10), to: at(20) } };
  const now = spansOf(told, live, START, 80);
  assert.deepEqual(now, [
    { kind: "away", from: 10, to: 20, open: false },
    { kind: "paused", from: 50, to: 80, open: true },
  ]);
  const over = spansOf(told, { ...live, state: "unfinished", ended_at: at(60) }, START, 80);
  assert.deepEqual(over[1], { kind: "paused", from: 50, to: 60, open: false });
  assert.deepEqual(spansOf({ 1: { kind: "of a later version", from: at(1) } }, live, START, 80), []);
  assert.deepEqual(layouter()({ run: live, tasks: {}, waves: {} }, START).spans, []);
});

test("a gap has the causes that make up a good part of it, or none", () => {
  const gap = { from: 100, to: 200 };
  assert.equal(causeOf(gap, []), "without work");
  assert.equal(causeOf(gap, [span("paused", 90, 150)]), "paused");
  assert.equal(causeOf(gap, [span("paused", 90, 140), span("away", 140, 300)]), "paused and unattended");
  assert.equal(causeOf(gap, [span("paused", 0, 105), span("away", 120, 200)]), "unattended");
  assert.equal(causeOf(gap, [span("paused", 100, 106), span("paused", 150, 155)]), "paused");
  assert.equal(causeOf(gap, [span("away", 0, 100), span("paused", 200, 300)]), "without work");
});

test("causes are summed up, and a pause that goes on is in sight though nothing runs", () => {
  const spans = [span("paused", 0, 10), span("away", 20, 25), { ...span("paused", 30, 35), open: true }];
  assert.deepEqual(sumsOf(spans), [["paused", 15, true], ["away", 5, false]]);
  const axis = axisOf([{ from: 0, end: 20 }], { until: 3600 });
  assert.deepEqual(axis.gaps, [{ from: 20, to: 3600 }]);
});
