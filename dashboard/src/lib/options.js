// Options of a verb as a form has them: in groups, with words, and as the server or a shell wants them.
// Values are by name: text, true or false, and of a list its lines.

const WORDS = {
  base_image: "Image",
  image: "Image",
  repo: "Repository",
  workspace_kind: "Kind of workspace",
  budget: "Memory budget",
  memory: "Memory of each task",
  cpus: "Cores of each task",
  pids: "Processes of each task",
  parallel: "Starts at once",
  warm: "Started ahead",
  agents: "Agents for each prompt",
  retries: "Attempts",
  retry_on: "Tried again after",
  keep_going: "Go on after a wave that failed",
  keep_failed: "Keep what failed for `exec`",
  environment: "Variables",
  env_file: "Files of variables",
  secret: "Secrets, by name",
  mount: "Mounts",
  run_id: "Id of the run",
  name: "Names of tasks begin with",
  egress: "Hosts they may reach",
  grace: "Left for a resume for",
  only_succeeded: "Only those that succeeded",
  unfinished: "Unfinished ones too",
  learned: "What runs have taught, too",
  no_key: "Without an API key, if there is none",
  allow_host: "On this host itself, if need be",
  max_cost: "Dollars of one attempt",
  max_tokens: "Tokens of one attempt",
  run_max_cost: "Dollars of the run",
  run_max_tokens: "Tokens of the run",
};

export function wordOf({ name }) {
  const words = name.replaceAll("_", " ");
  return WORDS[name] ?? words[0].toUpperCase() + words.slice(1);
}

// `[{group, options}]` of all options but those named, in the order in which groups come first.
export function grouped(options, without = []) {
  const groups = new Map();
  for (const option of options) {
    if (without.includes(option.name)) continue;
    groups.set(option.group, [...(groups.get(option.group) ?? []), option]);
  }
  return [...groups].map(([group, its]) => ({ group, options: its }));
}

export function isGiven(value) {
  return value === true || (typeof value === "string" && value.trim() !== "");
}

// What was given of these options, as the server takes it.
export function givenOf(options, values) {
  const given = {};
  for (const { name, kind } of options) {
    if (!isGiven(values[name])) continue;
    given[name] = kind === "list" ? linesOf(values[name]) : kind === "flag" ? true : values[name].trim();
  }
  return given;
}

function linesOf(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean);
}

// The same as words of a command line.
export function commandOf(options, values) {
  return options.flatMap(({ name, option, kind }) => {
    if (!isGiven(values[name])) return [];
    if (kind === "flag") return [option];
    return (kind === "list" ? linesOf(values[name]) : [values[name].trim()]).map((value) => `${option} ${quoted(value)}`);
  });
}

export function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

// Words as a shell reads them: quotes keep together, a backslash takes what follows as it is.
export function wordsOf(text) {
  const words = [];
  for (const [found] of text.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/gs)) {
    words.push(found.replace(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs, (_, single, double, escaped) => single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped));
  }
  return words;
}
