// What failed, told once for all that failed alike: by verdict and reason.

// Reasons of many tasks differ in what names one of them: figures and hexadecimal ids count as the same.
function kindOf(why) {
  return (why ?? "").replace(/\b[0-9a-f]{12,}\b/g, "…").replace(/\d+(\.\d+)?/g, "…");
}

// `[{state, why, tasks}]`, the largest first; `why` is that of its first task.
export function groupsOf(tasks) {
  const groups = new Map();
  for (const task of tasks) {
    const code = /exit code \d+/.exec(task.why ?? "")?.[0] ?? "";
    const name = `${task.state}\n${code}\n${kindOf(task.why)}`;
    if (!groups.has(name)) groups.set(name, { name, state: task.state, why: task.why ?? "", tasks: [] });
    groups.get(name).tasks.push(task);
  }
  return [...groups.values()].sort((one, other) => other.tasks.length - one.tasks.length);
}
