// What came of an action, or why it could not be done. A success goes by itself, an error stays until it is read.
const SHOWN_MS = 6000;
const MOST = 4;

export const notices = $state({ all: [] });
let number = 0;

export function dismiss(id) {
  notices.all = notices.all.filter((each) => each.id !== id);
}

function add(notice) {
  number += 1;
  const id = number;
  notices.all = [...notices.all, { id, ...notice }].slice(-MOST);
  return id;
}

export function tell(text) {
  const id = add({ kind: "done", text, advice: "" });
  setTimeout(() => dismiss(id), SHOWN_MS);
}

// Says that something takes its time; `dismiss` of what it returns ends that.
export function tellWaiting(text) {
  return add({ kind: "waiting", text, advice: "" });
}

export function tellError(what, error) {
  add({ kind: "error", text: `${what}: ${error.message}`, advice: error.advice ?? "" });
}
