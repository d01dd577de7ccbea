import assert from "node:assert/strict";
import { test } from "node:test";
import { elapsed, tick } from "../src/charts/format.js";
import { axisOf, placeOf, stepOf, ticksOf, timeAt } from "../src/charts/timeline/axis.js";
import { layouter, rowsOf } from "../src/charts/timeline/layout.js";

const START = Date.parse("2026-11-27T09:00:00.000Z");
const at = (seconds) => new Date(START + seconds * 1000).toISOString();

function attempt(number, state, from, start, end) {
  const told = { number, state, intended_at: at(from) };
  if (start !== undefined) told.started_at = at(start);
  if (end !== undefined) told.ended_at = at(end);
  return told;
}

function task(key, wave, state, ...attempts) {
  return { key, id: key, wave, place: 0, state, attempts: Object.fromEntries(attempts.map((each) => [each.number, each])) };
}

function told(tasks, waves = [1]) {
  return {
    run: { id: "r", state: "live", started_at: at(0) },
    tasks: Object.fromEntries(tasks.map((each) => [each.key, each])),
    waves: Object.fromEntries(waves.map((number) => [number, { number, state: "open" }])),
  };
}

const now = START + 100_000;
const bar = (from, end) => ({ from, end });

test("each attempt of a task is a bar, also those before a retry, and ends when it ended", () => {
  const layout = layouter()(told([task("a", 1, "success", attempt(1, "failed", 0, 1, 5), attempt(2, "success", 8, 9, 12))]), now);
  assert.deepEqual(layout.bars.map(({ number, state, from, start, end, open }) => [number, state, from, start, end, open]), [
    [1, "failed", 0, 1, 5, false],
    [2, "success", 8, 9, 12, false],
  ]);
});

test("what is under way ends now, and goes on with it, though its task is laid out once", () => {
  const run = told([task("a", 1, "running", attempt(1, "running", 0, 1))]);
  const layoutOf = layouter();
  const [first] = layoutOf(run, now).bars;
  assert.deepEqual([first.end, first.open], [100, true]);
  const [second] = layoutOf(run, now + 5000).bars;
  assert.equal(second, first);
  assert.equal(second.end, 105);
});

test("an attempt that never started, one whose end is not known, and clocks that differ give no bar below nothing", () => {
  const tasks = [
    task("never", 1, "start_error", attempt(1, "start_error", 3)),
    task("lost", 1, "lost", attempt(1, "lost", 3, 4)),
    task("early", 1, "success", attempt(1, "success", 3, 2.9, 2.8)),
  ];
  const { bars } = layouter()(told(tasks), now);
  for (const each of bars) assert.ok(each.from <= each.end && (each.start ?? each.from) <= each.end, JSON.stringify(each.number));
  assert.equal(bars[0].start, undefined);
});

test("rows are by wave; packed ones need as many lanes as there were attempts at once", () => {
  const tasks = [
    task("a", 1, "success", attempt(1, "success", 0, 0, 10)),
    task("b", 1, "success", attempt(1, "success", 0, 0, 4)),
    task("c", 1, "success", attempt(1, "success", 4, 4, 8)),
    task("d", 2, "pending"),
  ];
  const layout = layouter()(told(tasks, [1, 2]), now);
  assert.deepEqual(rowsOf(layout).map((row) => row.task?.id ?? row.wave.number), [1, "a", "b", "c", 2, "d"]);
  assert.deepEqual(rowsOf(layout, { packed: true }).map((row) => row.bars.length), [0, 1, 2, 0]);
  assert.deepEqual(rowsOf(layout, { shown: new Set(["pending"]) }).map((row) => row.task?.id ?? row.wave.number), [2, "d"]);
});

test("lanes are as few as can be, whatever the attempts", () => {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 30; round += 1) {
    const tasks = Array.from({ length: 60 }, (_, index) => {
      const from = Math.round(random() * 100);
      return task(`t${index}`, 1, "success", attempt(1, "success", from, from, from + 1 + Math.round(random() * 20)));
    });
    const layout = layouter()(told(tasks), now);
    const most = Math.max(...layout.bars.map((one) => layout.bars.filter((other) => other.from <= one.from && one.from < other.end).length));
    const lanes = rowsOf(layout, { packed: true }).slice(1);
    assert.equal(lanes.length, most);
    for (const { bars } of lanes) for (let index = 1; index < bars.length; index += 1) assert.ok(bars[index - 1].end <= bars[index].from);
  }
});

test("hours without work take little of the axis, short rests stay to scale", () => {
  const axis = axisOf([bar(0, 60), bar(62, 120), bar(10_920, 11_000)]);
  assert.deepEqual(axis.gaps, [{ from: 120, to: 10_920 }]);
  assert.ok(axis.end < 230, String(axis.end));
  assert.equal(placeOf(axis, 61), 61);
  assert.ok(Math.abs(placeOf(axis, 11_000) - placeOf(axis, 10_920) - 80) < 1e-6);
  const whole = axisOf([bar(0, 60), bar(10_920, 11_000)], { cut: false });
  assert.equal(whole.end, 11_000);
  assert.equal(placeOf(whole, 10_000), 10_000);
});

test("a place and its time belong together, in gaps and beyond the end too", () => {
  const axis = axisOf([bar(0, 60), bar(7200, 7300), bar(90_000, 90_001)], { until: 90_500 });
  for (const seconds of [0, 0.005, 59, 60, 3000, 7200, 7250, 40_000, 90_000.5, 90_400, 91_000]) {
    const back = timeAt(axis, placeOf(axis, seconds));
    assert.ok(Math.abs(back - seconds) < 1e-6 * Math.max(1, seconds), `${seconds} came back as ${back}`);
  }
});

test("many gaps together leave most of the axis to the work", () => {
  const bars = Array.from({ length: 50 }, (_, index) => bar(index * 86_400, index * 86_400 + 1));
  const axis = axisOf(bars);
  assert.equal(axis.gaps.length, 49);
  assert.ok(axis.end < 50 * 1.31, String(axis.end));
});

test("the lower bound counts the time outside gaps, and is in sight where it lies behind the end", () => {
  assert.equal(axisOf([bar(0, 100)], { bound: 80 }).bound, 80);
  const cut = axisOf([bar(0, 60), bar(10_000, 10_060)], { bound: 90 });
  assert.ok(Math.abs(timeAt(cut, cut.bound) - 10_030) < 1e-6);
  const behind = axisOf([bar(0, 60)], { bound: 90 });
  assert.deepEqual([behind.bound, behind.end], [90, 90]);
});

test("nothing at all still has an axis", () => {
  const axis = axisOf([]);
  assert.ok(axis.end > 0 && Number.isFinite(placeOf(axis, 5)));
});

test("ticks are at round times and in no gap, from half a millisecond to weeks", () => {
  for (const least of [0.00004, 0.003, 0.07, 0.4, 0.6, 7, 45, 1000, 50_000, 400_000]) assert.ok(stepOf(least) >= least * 0.999);
  assert.deepEqual([0.003, 0.6, 7, 45, 1000].map(stepOf), [0.005, 1, 10, 60, 1800]);
  const axis = axisOf([bar(0, 60), bar(7205, 7300)]);
  const { ticks } = ticksOf(axis, 0, axis.end, 10);
  assert.ok(ticks.every(({ seconds }) => seconds % 10 === 0 && (seconds <= 60 || seconds >= 7205)));
  const near = ticksOf(axisOf([bar(0, 18_000)]), 9000, 9000.01, 0.001);
  assert.equal(near.step, 0.001);
  assert.equal(near.ticks.length, 11);
});

test("places on the axis are told as exactly as its step", () => {
  assert.deepEqual([elapsed(0), elapsed(12.5, 0.5), elapsed(59.9996, 0.001), elapsed(245), elapsed(7380.125, 0.001), elapsed(3600)], [
    "0s", "12.5s", "1:00.000", "4:05", "2:03:00.125", "1:00:00",
  ]);
  const noon = new Date(2026, 10, 27, 12, 34, 56).getTime() / 1000; // here, wherever that is
  assert.deepEqual([tick(noon, 10), tick(noon, 60), tick(noon, 86_400)], ["12:34:56", "12:34", "11-27"]);
});
