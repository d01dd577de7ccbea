// Addresses behind the # of the page: #/runs/<id>/timeline?task=<key>&state=failed
// A view is told by its path, what is chosen in it by its query: so that a reload, a link and "back" keep both.

export const VIEWS = ["overview", "runs", "pools", "workspaces", "processes"];
export const TABS = ["tasks", "timeline", "resources"];

// What an address shows; what it does not know is the overview.
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decoded);
  const chosen = Object.fromEntries(new URLSearchParams(query));
  if (parts[0] === "runs" && parts[1]) {
    return { view: "run", run: parts[1], tab: TABS.includes(parts[2]) ? parts[2] : "tasks", chosen };
  }
  return { view: VIEWS.includes(parts[0]) ? parts[0] : "overview", chosen };
}

export function address({ view, run, tab, chosen = {} }) {
  const kept = Object.entries(chosen).filter(([, value]) => value !== undefined && value !== "");
  const query = kept.length ? `?${new URLSearchParams(kept)}` : "";
  if (view === "run") return `#/runs/${encodeURIComponent(run)}${tab && tab !== "tasks" ? `/${tab}` : ""}${query}`;
  return `#/${view === "overview" ? "" : view}${query}`;
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
