import assert from "node:assert/strict";
import { test } from "node:test";
import { aboutOf } from "../src/lib/about.js";
import { lineOf, orderOf, seenOf, sourceOf } from "../src/lib/orders.js";
import { wordsOf } from "../src/lib/options.js";
import { removalsOf } from "../src/lib/removals.js";

const OPTIONS = [
  { name: "workspace", option: "--workspace", kind: "text", group: "Where" },
  { name: "repo", option: "--repo", kind: "text", group: "Where" },
  { name: "agents", option: "--agents", kind: "text", group: "How much" },
  { name: "secret", option: "--secret", kind: "list", group: "Given" },
  { name: "keep_going", option: "--keep-going", kind: "flag", group: "Failing" },
  { name: "budget", option: "--budget", kind: "text", group: "How much" },
];

test("a plan goes with what was said, and nothing else", () => {
  const source = { ...sourceOf(), text: '{"waves": [{"batches": [1, 2]}]}' };
  const values = { workspace: " /w ", secret: "A\n\n B=env:C \n", keep_going: true, budget: "  ", agents: "" };
  assert.deepEqual(orderOf("plan", source, OPTIONS, values), {
    path: "runs",
    body: { plan: { waves: [{ batches: [1, 2] }] }, options: { workspace: "/w", secret: ["A", "B=env:C"], keep_going: true }, directory: "/w" },
  });
  assert.deepEqual(seenOf("plan", source), { count: 2, words: "1 wave, 2 tasks" });
  assert.equal(lineOf("plan", source, OPTIONS, values), "wavepool run plan.json --workspace /w --secret A --secret B=env:C --keep-going");
  assert.deepEqual(orderOf("plan", { ...source, path: "p.json" }, OPTIONS, {}).body, { plan_file: "p.json", options: {} });
});

test("prompts go as they are written, with how many work on each", () => {
  const source = { ...sourceOf(), prompts: ["Fix it's end\n", "  "], flags: `sh -c 'cat; echo "x"' "a \\"b\\"" c\\ d` };
  assert.deepEqual(orderOf("prompts", source, OPTIONS, { agents: "2", repo: "/r" }), {
    path: "tasks",
    body: { prompts: ["Fix it's end\n"], agents: "2", options: { repo: "/r" }, flags: ["sh", "-c", 'cat; echo "x"', 'a "b"', "c d"], directory: "/r" },
  });
  assert.equal(seenOf("prompts", source).words, "1 prompt");
  assert.equal(lineOf("prompts", { ...source, flags: "" }, OPTIONS, {}), "wavepool task 'Fix it'\\''s end\n'");
  assert.equal(lineOf("prompts", { ...source, prompts: ["@me"], flags: "" }, OPTIONS, {}), "wavepool task @@me");
  assert.equal(seenOf("prompts", sourceOf()), null);
  assert.deepEqual(orderOf("tasks", { ...sourceOf(), text: "- id: a" }, OPTIONS, {}), { path: "tasks", body: { task_list: "- id: a", options: {} } });
});

test("words are read as a shell reads them", () => {
  for (const words of [[], ["a"], ["a b", "c'd", 'e"f', "g\\h", "$i"], ["--x=y z"]]) {
    const line = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join("  ");
    assert.deepEqual(wordsOf(line), words);
  }
});

test("a refusal is shown at the field that it is about", () => {
  const about = (message) => aboutOf({ message }, OPTIONS);
  assert.equal(about("--budget: got 'lots', expected auto"), "budget");
  assert.equal(about("body.options.budget.str: Input should be a valid string"), "budget");
  assert.equal(about("body.agents: Input should be a valid string"), "agents");
  assert.equal(about("directory: got 'x', expected the absolute path of a directory of this host"), "directory");
  for (const message of ["waves[0].batches[1].memory: got 'x'", "PLAN: cannot read p.json", "PROMPT 2: got ''", "tasks[0].id: missing", "--prompt-file: cannot read", "standard input: got 'x', expected a list of tasks"]) {
    assert.equal(about(message), "source", message);
  }
  assert.equal(about("the server does not answer"), "");
  assert.equal(about("--nothing-known: got"), "");
  assert.equal(aboutOf({ about: { name: "--secret" }, message: "no such variable" }, OPTIONS), "secret");
  assert.equal(aboutOf({ about: { path: "waves[0].batches[0].memory" }, message: "got 'x'" }, OPTIONS), "source");
  const ofTask = { message: "tasks[0].budget: got '2112m', expected at most 2.0GB" };
  assert.deepEqual([aboutOf(ofTask, OPTIONS), aboutOf(ofTask, OPTIONS, { prompts: true })], ["source", "budget"]);
});

test("what would go stands before what stays, a run with all that is there of it", () => {
  const finding = (kind, run_id, acts) => ({ kind, name: `${kind}-1`, run_id, what: kind, condition: "running", acts, why: "because" });
  const recovered = {
    runs: [{ run_id: "live", state: "live", why: "it is live" }, { run_id: "dead", state: "unfinished", why: "dead for 20m" }],
    findings: [finding("container", "live", []), finding("container", "dead", ["stop", "remove"]), finding("slot", "dead", ["remove"]), finding("network", "", ["remove"])],
  };
  const { rows, going, kept } = removalsOf("recover", recovered);
  assert.deepEqual([going, kept, rows.map((row) => row.name)], [2, 1, ["dead", "network-1", "live"]]);
  assert.equal(rows[0].what, "run, unfinished: 1 container, 1 slot");
  const pruned = { dry_run: true, images: ["kept:1"], freed_bytes: 1, runs: [{ run_id: "a", state: "live", removed: false, why: "it is live", size_bytes: 1 }] };
  assert.deepEqual(removalsOf("prune", pruned).rows.map((row) => [row.name, row.goes]), [["kept:1", true], ["a", false]]);
});
