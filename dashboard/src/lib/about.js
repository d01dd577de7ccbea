// Which field of a form a refusal is about: as the server tells it (`about`), else by how its message begins.
// The command line names an option or a place in a file, the server a member of what it was sent.

const SOURCE = /^(--prompt-file\b|standard input\b|PLAN|FILE|PROMPT|waves|tasks|task_list|plan|plan_file|task_file|prompts|body\.(plan|prompts|task_))/;
const OF_A_TASK = /^tasks\[\d+\]\.([a-z_]+)/;

// A name of one of these options, `source` (what is to be run), `directory`, or "" where it is none of them. Of prompts
// all but their text is told by options.
export function aboutOf({ about = {}, message = "" }, options, { prompts = false } = {}) {
  const told = about.name ?? about.what ?? about.path ?? message;
  const ofTask = prompts && OF_A_TASK.exec(told)?.[1];
  if (ofTask && options.some(({ name }) => name === ofTask)) return ofTask;
  if (SOURCE.test(told)) return "source";
  const spelled = /^--[a-z-]+/.exec(told)?.[0];
  const name = /^(?:body\.)?(?:options\.)?([a-z_]+)\b/.exec(told)?.[1];
  if (name === "directory") return "directory";
  return options.find((each) => each.option === spelled || each.name === name)?.name ?? "";
}
