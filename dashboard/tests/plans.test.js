import assert from "node:assert/strict";
import { test } from "node:test";
import { planOf, sizeOf } from "../src/lib/plans.js";

test("a plan is found with a byte order mark and text around it, as tools print it", () => {
  const plan = planOf('\ufeffPlanning...\n{"waves": [{"wave_number": 1, "batches": [{}, {}]}, {"wave_number": 2, "batches": [{}]}]}\ndone\n');
  assert.deepEqual(sizeOf(plan), { waves: 2, batches: 3 });
  assert.deepEqual(sizeOf(planOf('{"waves": {"waves": [{"batches": [{}]}]}}')), { waves: 1, batches: 1 });
});

test("what is no plan is told in a sentence", () => {
  for (const [text, told] of [["", /no plan yet/], ["waves", /JSON object/], ['{"waves": [}', /no JSON/], ['{"tasks": []}', /no waves/]]) {
    assert.throws(() => planOf(text), told);
  }
});
