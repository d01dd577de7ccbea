import assert from "node:assert/strict";
import { test } from "node:test";
import { axisOf, placeOf } from "../src/charts/timeline/axis.js";
import { AXIS_PX } from "../src/charts/timeline/draw.js";
import { barAt, below, beside, firstOf } from "../src/charts/timeline/finding.js";
import { commandOf, pointing, turnOf } from "../src/charts/timeline/gestures.js";
import { moved, panned, vAt, viewOf, xOf, zoomed } from "../src/charts/timeline/view.js";

const WHOLE = [0, 100];
const [a, b, c, d] = [[0, 10], [20, 30], [18, 40], [90, 99]].map(([from, end]) => ({ from, end }));
const ROWS = [{ bars: [], height: 24 }, { bars: [a, b], height: 20 }, { bars: [], height: 24 }, { bars: [c, d], height: 20 }];
const TOPS = [0, 24, 44, 68, 88];
const AT_A_TO_D = [a, b, c, d].map((bar) => ({ bar, row: bar === a || bar === b ? 1 : 3 }));
const [ofA, ofB, ofC, ofD] = AT_A_TO_D;

test("a view stays inside the axis, is never empty, and is none where it is nearly all", () => {
  assert.deepEqual(viewOf(WHOLE, -20, 30), [0, 50]);
  assert.deepEqual(viewOf(WHOLE, 80, 130), [50, 100]);
  assert.equal(viewOf(WHOLE, 0, 99.95), null);
  assert.equal(viewOf(WHOLE, -50, 500), null);
  const [from, to] = viewOf(WHOLE, 40, 40);
  assert.ok(to > from);
});

test("zooming keeps the place that it is around, and back out ends with all of it", () => {
  let view = zoomed(WHOLE, WHOLE, 4, 30);
  assert.deepEqual(view, [22.5, 47.5]);
  assert.deepEqual(zoomed(view, WHOLE, 0.5), [10, 60]);
  for (let round = 0; round < 60; round += 1) view = zoomed(view, WHOLE, 2, 30);
  assert.ok(view[1] - view[0] >= 0.0004 && view[0] <= 30 && view[1] >= 30, String(view));
  for (let round = 0; round < 60 && view; round += 1) view = zoomed(view, WHOLE, 0.5);
  assert.equal(view, null);
});

test("moving along stops at both ends", () => {
  assert.deepEqual(panned([20, 40], WHOLE, 0.25), [25, 45]);
  assert.deepEqual(panned([20, 40], WHOLE, -3), [0, 20]);
  assert.deepEqual(panned([20, 40], WHOLE, 30), [80, 100]);
  assert.equal(moved([20, 40], WHOLE, 33), null);
  assert.deepEqual(moved([20, 50], WHOLE, 60), { view: [50, 80] });
});

test("pixels and places belong together", () => {
  const scene = { seen: [20, 40], width: 300, gutter: 100 };
  assert.deepEqual([vAt(scene, 100), vAt(scene, 200), vAt(scene, 300)], [20, 30, 40]);
  for (const x of [0, 100, 123.5, 300]) assert.ok(Math.abs(xOf(scene, vAt(scene, x)) - x) < 1e-9);
});

test("a point finds the bar that it is on, or is next to by a few pixels, of its row, scrolled or not", () => {
  const axis = axisOf([a, b, c, d]);
  const scene = { rows: ROWS, tops: TOPS, scroll: 0, axis, seen: [0, 100], width: 1000, gutter: 0 };
  const pixels = (seconds) => xOf(scene, placeOf(axis, seconds));
  assert.deepEqual(barAt(scene, { x: pixels(25), y: AXIS_PX + 30 }), ofB);
  assert.deepEqual(barAt(scene, { x: pixels(10) + 5, y: AXIS_PX + 30 }), ofA);
  assert.equal(barAt(scene, { x: pixels(10) + 8, y: AXIS_PX + 30 }), null);
  assert.deepEqual(barAt({ ...scene, scroll: 44 }, { x: pixels(25), y: AXIS_PX + 30 }), ofC);
  for (const y of [0, AXIS_PX - 1, AXIS_PX + 5, AXIS_PX + 200]) assert.equal(barAt(scene, { x: pixels(25), y }), null);
  assert.equal(barAt({ ...scene, rows: [], tops: [0] }, { x: 5, y: AXIS_PX }), null);
});

test("arrows go from attempt to attempt, over rows without any, and stay at the ends", () => {
  assert.deepEqual([beside(ROWS, null, 1), below(ROWS, null, -1), firstOf(ROWS)], [ofA, ofA, ofA]);
  assert.deepEqual(beside(ROWS, ofA, 1), ofB);
  assert.deepEqual(beside(ROWS, ofB, 1), ofC); // nearest in time, in the next row that has one
  assert.deepEqual(below(ROWS, ofB, 1), ofC);
  assert.deepEqual(below(ROWS, ofD, -1), ofB);
  assert.deepEqual([beside(ROWS, ofA, -1), below(ROWS, ofC, 1), beside(ROWS, ofD, 1)], [null, null, null]);
  assert.equal(firstOf([{ bars: [] }]), null);
});

test("keys are commands, and those of the browser stay its own", () => {
  const press = (key, held = {}) => commandOf({ key, ...held });
  assert.deepEqual(press("ArrowLeft"), ["beside", -1]);
  assert.deepEqual(press("ArrowLeft", { shiftKey: true }), ["pan", -0.25]);
  assert.deepEqual([press("+", { shiftKey: true }), press("="), press("0"), press("Escape")], [["zoom", 2], ["zoom", 2], ["all"], ["drop"]]);
  for (const held of ["ctrlKey", "metaKey", "altKey"]) assert.equal(press("+", { [held]: true }), null);
  for (const key of ["Tab", "a", "constructor", "ArrowUpp"]) assert.equal(press(key), null);
  assert.equal(press("ArrowUp", { shiftKey: true }), null);
});

test("a wheel scrolls the page unless it is turned sideways, or with a key", () => {
  const turn = (deltaX, deltaY, held = {}) => turnOf({ deltaX, deltaY, ...held });
  assert.equal(turn(0, 100), null);
  assert.deepEqual(turn(40, 10), { pan: 40 });
  assert.deepEqual(turn(0, 30, { shiftKey: true }), { pan: 30 });
  assert.ok(turn(0, -300, { ctrlKey: true }).zoom > 2.7);
  assert.ok(turn(0, 300, { metaKey: true }).zoom < 0.4);
  assert.deepEqual(turn(0, 30, { ctrlKey: true, shiftKey: true }), { pan: 30 });
});

function recorded() {
  const done = [];
  const note = (name) => (...what) => done.push([name, ...what]);
  return { done, pointer: pointing({ hover: note("hover"), leave: note("leave"), press: note("press"), pan: note("pan"), zoom: note("zoom") }) };
}

test("a pointer that hardly moves presses, one that moves drags and presses nothing", () => {
  const { done, pointer } = recorded();
  pointer.move(1, { x: 5, y: 5 });
  pointer.down(1, { x: 10, y: 5 });
  assert.equal(pointer.move(1, { x: 12, y: 5 }), false);
  pointer.up(1, { x: 12, y: 5 });
  assert.deepEqual(done, [["hover", { x: 5, y: 5 }], ["pan", -2], ["press", { x: 12, y: 5 }]]);
  done.length = 0;
  pointer.down(1, { x: 10, y: 5 });
  assert.equal(pointer.move(1, { x: 30, y: 5 }), true);
  pointer.up(1, { x: 30, y: 5 });
  pointer.gone(1);
  assert.deepEqual(done, [["pan", -20], ["leave"]]);
});

test("two fingers zoom around what is between them, and lifting them presses nothing", () => {
  const { done, pointer } = recorded();
  pointer.down(1, { x: 100, y: 0 });
  pointer.down(2, { x: 200, y: 0 });
  pointer.move(2, { x: 300, y: 0 });
  assert.deepEqual(done, [["zoom", 2, 200]]);
  pointer.up(1, { x: 100, y: 0 });
  pointer.up(2, { x: 300, y: 0 });
  assert.equal(done.length, 1);
  done.length = 0;
  pointer.down(3, { x: 100, y: 0 });
  pointer.down(4, { x: 104, y: 0 });
  pointer.move(4, { x: 130, y: 0 }); // too near for their distance to say anything
  assert.deepEqual(done, []);
});
