import assert from "node:assert/strict";
import { test } from "node:test";
import { address, parse } from "../src/lib/routes.js";
import { toShow, windowOf } from "../src/lib/window.js";

test("only rows in sight are drawn, and a few around them", () => {
  const list = { row: 30, count: 10_000, height: 600, around: 5 };
  assert.deepEqual(windowOf({ ...list, above: 0 }), { first: 0, last: 25 });
  assert.deepEqual(windowOf({ ...list, above: 3000 }), { first: 95, last: 125 });
  assert.deepEqual(windowOf({ ...list, above: -300 }), { first: 0, last: 15 });
  assert.deepEqual(windowOf({ ...list, above: 299_900 }), { first: 9991, last: 10_000 });
});

test("a list that is out of sight, or empty, draws next to nothing", () => {
  assert.deepEqual(windowOf({ row: 30, count: 0, height: 600, above: 0 }), { first: 0, last: 0 });
  const below = windowOf({ row: 30, count: 100, height: 600, above: -5000, around: 2 });
  assert.ok(below.last - below.first <= 2);
  const past = windowOf({ row: 30, count: 100, height: 600, above: 90_000, around: 2 });
  assert.ok(past.last <= 100 && past.last - past.first <= 4);
});

test("a row is brought into sight, and the page stays where it is in sight already", () => {
  const list = { row: 30, height: 600, margin: 40 };
  assert.equal(toShow({ ...list, at: 10, above: 0 }), 0);
  assert.equal(toShow({ ...list, at: 30, above: 0 }), 330);
  assert.equal(toShow({ ...list, at: 0, above: 300 }), -340);
});

test("addresses tell the same after a way there and back, whatever is in an id", () => {
  const routes = [
    { view: "overview", chosen: {} },
    { view: "pools", chosen: {} },
    { view: "run", run: "20261127-000000-ab12", tab: "tasks", chosen: { task: "lint", state: "failed", q: "a&b=c #d" } },
    { view: "run", run: "ru/n?#%&", tab: "timeline", chosen: {} },
  ];
  for (const route of routes) assert.deepEqual(parse(address(route)), route);
  assert.deepEqual(parse("#/nowhere"), { view: "overview", chosen: {} });
  assert.deepEqual(parse(""), { view: "overview", chosen: {} });
  assert.equal(parse("#/runs/%E0%A4%A").run, "%E0%A4%A");
  assert.equal(address({ view: "run", run: "a", tab: "tasks", chosen: { q: "", wave: undefined } }), "#/runs/a");
});
