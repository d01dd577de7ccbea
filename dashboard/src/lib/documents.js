// What one channel has told so far: its document, kept true by patches (`monitoring/documents` has its shape).
import { HOST, RUN_KEPT, USAGE, hostReading, withReading } from "./history.js";
import { merge, mergeEntries } from "./patch.js";

// Takes a patch into `document`, in place at its top and in `tasks`, of which there may be thousands.
// Returns the names of its members that changed, and the keys of the tasks that did.
export function take(document, patch) {
  const members = Object.keys(patch);
  let tasks = [];
  for (const name of members) {
    if (name === "tasks" && document.tasks && patch.tasks) tasks = mergeEntries(document.tasks, patch.tasks);
    else if (patch[name] === null) delete document[name];
    else document[name] = merge(document[name], patch[name]);
  }
  return { members: remember(document, patch, members), tasks };
}

// Histories are never in a patch: what was read just now is added to them here.
function remember(document, patch, members) {
  if (patch.host?.at && document.host) {
    document.history = withReading(document.history, hostReading(document.host), HOST);
    return [...members, "history"];
  }
  if (patch.usage_now?.at && document.usage_now) {
    document.usage = withReading(document.usage, document.usage_now, USAGE, RUN_KEPT);
    members = [...members, "usage"];
  }
  for (const [key, change] of Object.entries(patch.tasks ?? {})) {
    const task = document.tasks?.[key];
    if (change?.usage?.at && task) task.history = withReading(task.history, task.usage, USAGE);
  }
  return members;
}
