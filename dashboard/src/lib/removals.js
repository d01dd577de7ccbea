// What `recover` or `prune` would take away, or has taken, in rows: `{name, what, why, goes}`, what goes first.
import { bytes, plural } from "./format.js";

const SHOWN = 200;

export function removalsOf(verb, result) {
  const rows = (verb === "prune" ? pruned(result) : recovered(result)).sort((one, other) => other.goes - one.goes);
  const going = rows.filter((row) => row.goes);
  return { rows: rows.slice(0, SHOWN), more: Math.max(0, rows.length - SHOWN), going: going.length, kept: rows.length - going.length };
}

// What came of it, in a sentence.
export function doneWords(verb, result) {
  if (verb === "recover") return `${result.summary}.`;
  const gone = result.runs.filter((run) => run.removed).length;
  const images = result.images.length ? ` and ${plural(result.images.length, "kept image")}` : "";
  return `${plural(gone, "run")}${images} given up, ${bytes(result.freed_bytes)} freed.`;
}

// Why it is not all, each a sentence.
export function problemsOf(result) {
  const away = Object.entries(result.away ?? {}).map(([driver, why]) => `What ${driver} has is not known: ${why}`);
  return [...away, ...(result.problems ?? [])];
}

function pruned({ runs, images, dry_run }) {
  const loose = images.map((name) => ({ name, what: "kept image", why: dry_run ? "its run is gone" : "", goes: true }));
  return [...runs.map((run) => ({ name: run.run_id, what: `run, ${run.state}, ${bytes(run.size_bytes)}`, why: run.why, goes: run.removed })), ...loose];
}

// A run is one row with all that is there of it.
function recovered({ runs, findings, fixes = [] }) {
  const its = (id) => findings.filter((finding) => finding.run_id === id);
  const loose = findings.filter((finding) => !runs.some((run) => run.run_id === finding.run_id));
  return [
    ...runs.map((run) => ({ name: run.run_id, what: `run, ${run.state}: ${kindsOf(its(run.run_id))}`, why: run.why, goes: its(run.run_id).some(({ acts }) => acts.length) })),
    ...loose.map((finding) => ({ name: finding.name, what: [finding.what, finding.condition].filter(Boolean).join(", "), why: finding.why, goes: finding.acts.length > 0 })),
    ...fixes.map((fix) => ({ name: fix.fix_id, what: "worktree of a fix", why: fix.why ?? "", goes: fix.fate === "goes" })),
  ];
}

function kindsOf(findings) {
  const kinds = new Map();
  for (const { kind } of findings) if (kind !== "run") kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => (kind === "secrets" ? kind : plural(count, kind))).join(", ") || "nothing but its files";
}
