// What a person wants to be run, as the server takes it: a plan, prompts for agents, or a task list.
import { commandOf, givenOf, quoted, wordsOf } from "./options.js";
import { planOf, sizeOf } from "./plans.js";

// `main`: the options that are asked for at once. `place`: the one that says on which directory it works.
export const KINDS = {
  plan: { verb: "run", word: "A plan", place: "workspace", main: ["workspace", "base_image", "budget", "parallel", "schedule", "retries", "keep_going"] },
  prompts: { verb: "task", word: "Prompts", place: "repo", main: ["repo", "agent", "model", "agents", "workspace_kind", "budget", "retries"] },
  tasks: { verb: "tasks", word: "A task list", place: "repo", main: ["repo", "agent", "model", "workspace_kind", "budget", "retries"] },
};
const OF_PROMPTS = ["agents", "pool", "name"]; // beside `options`

// A source as it is typed: `text` or, from the host, `path`; `prompts`; `flags` (words for the agent).
export function sourceOf() {
  return { text: "", path: "", prompts: [""], flags: "" };
}

// What would be started: `{count, words}`, with `problem` where it cannot be; null where nothing is there yet.
export function seenOf(kind, source) {
  if (kind === "prompts") {
    const count = source.prompts.filter((prompt) => prompt.trim()).length;
    return count ? { words: count === 1 ? "1 prompt" : `${count} prompts` } : null;
  }
  if (source.path.trim()) return { words: source.path.trim() };
  if (!source.text.trim()) return null;
  if (kind === "tasks") return { words: "a task list" };
  try {
    const { waves, batches } = sizeOf(planOf(source.text));
    const many = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
    return { count: batches, words: `${many(waves, "wave")}, ${many(batches, "task")}` };
  } catch (error) {
    return { problem: error.message };
  }
}

// `{path, body}` of the request.
export function orderOf(kind, source, options, values) {
  const given = givenOf(options, values);
  const directory = given[KINDS[kind].place];
  const where = directory ? { directory } : {};
  const path = source.path.trim();
  if (kind === "plan") {
    return { path: "runs", body: { ...(path ? { plan_file: path } : { plan: planOf(source.text) }), options: given, ...where } };
  }
  const beside = Object.fromEntries(OF_PROMPTS.filter((name) => name in given).map((name) => [name, given[name]]));
  for (const name of OF_PROMPTS) delete given[name];
  const flags = wordsOf(source.flags);
  const work = kind === "prompts" ? { prompts: source.prompts.filter((prompt) => prompt.trim()) } : path ? { task_file: path } : { task_list: source.text };
  return { path: "tasks", body: { ...work, ...beside, options: given, ...(flags.length ? { flags } : {}), ...where } };
}

// There a prompt that begins with @ would name a file.
function asWord(prompt) {
  return prompt.startsWith("@") ? `@${prompt}` : prompt;
}

// The same in a terminal.
export function lineOf(kind, source, options, values) {
  const path = source.path.trim();
  const what =
    kind === "prompts"
      ? source.prompts.filter((prompt) => prompt.trim()).map((prompt) => quoted(asWord(prompt.length > 40 ? `${prompt.slice(0, 39)}…` : prompt)))
      : [path ? quoted(path) : kind === "plan" ? "plan.json" : "tasks.yaml"];
  const flags = kind === "plan" ? [] : wordsOf(source.flags).map(quoted);
  return ["wavepool", KINDS[kind].verb, ...what, ...commandOf(options, values), ...(flags.length ? ["--", ...flags] : [])].join(" ");
}
