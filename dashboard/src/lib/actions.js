// All that a person can do here: each asks where it destroys, and tells what came of it.
import { fetched, post, runPath, taskPath } from "./api.js";
import { ask } from "./asking.svelte.js";
import { plural } from "./format.js";
import { dismiss, tell, tellError, tellWaiting } from "./notices.svelte.js";

const PATIENCE_MS = 700;
const asked = new Set(); // what was not answered yet: a second click on the same asks nothing

function act(what, done, path, body) {
  return attempt(what, path, async () => {
    const answer = await post(path, body);
    tell(done);
    return answer;
  });
}

// Does it, says so where it takes its time, and why where it cannot be done: then it is null.
async function attempt(what, path, does) {
  if (asked.has(path)) return null;
  asked.add(path);
  let waiting;
  const timer = setTimeout(() => (waiting = tellWaiting("Waiting for the server's answer…")), PATIENCE_MS);
  try {
    return await does();
  } catch (error) {
    tellError(what, error);
    return null;
  } finally {
    clearTimeout(timer);
    if (waiting) dismiss(waiting);
    asked.delete(path);
  }
}

export function pauseRun(run) {
  return act("Could not pause", `Run ${run.id} is paused: what runs goes on, nothing new starts.`, `${runPath(run.id)}/pause`);
}

export function unpauseRun(run) {
  return act("Could not go on", `Run ${run.id} starts tasks again.`, `${runPath(run.id)}/unpause`);
}

export function resumeRun(run) {
  return act("Could not resume", `Run ${run.id} is gone on with, in a process of its own.`, `${runPath(run.id)}/resume`);
}

export async function cancelRun(run) {
  const { running, starting, pending } = run.tasks;
  const text = `${plural(pending, "task")} will not start. ${plural(running + starting, "task")} under way may end by themselves. The run can be resumed later.`;
  if (!(await ask({ title: `Cancel run ${run.id}?`, text, action: "Cancel the run", danger: true }))) return null;
  return act("Could not cancel", `Run ${run.id} starts nothing more, and ends with what is under way.`, `${runPath(run.id)}/cancel`, { force: false });
}

export async function stopRun(run) {
  const text = `${plural(run.tasks.running + run.tasks.starting, "task")} under way will be stopped now, and count as cancelled. What they have not saved is lost.`;
  if (!(await ask({ title: `Stop run ${run.id} now?`, text, action: "Stop everything", danger: true }))) return null;
  return act("Could not stop", `Run ${run.id} is being stopped.`, `${runPath(run.id)}/cancel`, { force: true });
}

export async function retryFailed(run) {
  const text = `${plural(run.tasks.failed, "task")} that did not succeed, and what was skipped because of them, will be tried again.`;
  if (!(await ask({ title: "Retry all that failed?", text, action: "Retry" }))) return null;
  return act("Could not retry", `${plural(run.tasks.failed, "task")} of run ${run.id} will be tried again.`, `${runPath(run.id)}/retry`, { failed: true });
}

export async function cancelTask(run, task) {
  const waits = task.state === "pending" || task.state === "retrying";
  const text = waits
    ? "It will not start, and what depends on it is skipped."
    : "It will be stopped and counts as cancelled; what depends on it is skipped. What it has not saved is lost.";
  if (!(await ask({ title: `Cancel task ${task.id}?`, text, action: "Cancel the task", danger: true }))) return null;
  return act("Could not cancel", `Task ${task.id} is being cancelled.`, `${taskPath(run.id, task.key)}/cancel`);
}

export function retryTask(run, task) {
  return act("Could not retry", `Task ${task.id} will be tried again.`, `${taskPath(run.id, task.key)}/retry`);
}

// The run as one file that needs nothing else. It is made anew each time, which takes seconds for a large run.
export function saveReport(run) {
  const path = `${runPath(run.id)}/report?format=html`;
  return attempt("Could not write the report", path, async () => {
    const file = URL.createObjectURL(await (await fetched(path)).blob());
    Object.assign(document.createElement("a"), { href: file, download: `wavepool-${run.id}.html` }).click();
    setTimeout(() => URL.revokeObjectURL(file), 60_000);
    return file;
  });
}

const poolPath = (type) => `pools/${encodeURIComponent(type)}`;

export async function scalePool(pool) {
  const number = { label: "Containers that stand ready", value: pool.target, least: 0, most: 999 };
  const size = await ask({ title: `Scale pool ${pool.agent_type}`, text: "Those that work now are not stopped.", action: "Scale", number });
  if (size === false) return null;
  return act("Could not scale", `Pool ${pool.agent_type} keeps ${size} ready from now on.`, `${poolPath(pool.agent_type)}/scale`, { count: size });
}

export function warmPool(pool) {
  return act("Could not warm", `Pool ${pool.agent_type} is open, and being filled.`, `${poolPath(pool.agent_type)}/warm`, {});
}

export async function drainPool(pool) {
  const text = `Its ${plural(pool.idle, "idle container")} will be removed, and it takes no more tasks until it is warmed again. Those that work may end.`;
  if (!(await ask({ title: `Drain pool ${pool.agent_type}?`, text, action: "Drain", danger: true }))) return null;
  return act("Could not drain", `Pool ${pool.agent_type} takes no more tasks.`, `${poolPath(pool.agent_type)}/drain`, {});
}
