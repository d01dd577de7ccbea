// Terminal colours in output, as classes of text; all other controls of a terminal are left out.
// Output is never more than text here: nothing in it can become markup.

const ESCAPE = /\x1b(?:\[([0-9;:]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_]|[ -/]+[0-~])/g;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f]/g;
const COLOURS = ["off", "bad", "ok", "warn", "accent", "mem", "accent", "text"];

// One line: its text, and which parts of it have which classes ([{from, to, name}]); null where none has.
export function plain(line) {
  const shown = line.includes("\r") ? line.slice(line.replace(/\r+$/, "").lastIndexOf("\r") + 1) : line;
  if (!shown.includes("\x1b")) return { text: cleaned(shown), parts: null };
  return styled(shown);
}

function cleaned(text) {
  return text.replace(CONTROL, (control) => (control === "\t" ? control : control === "\r" ? "" : "\ufffd")).replaceAll("\t", "    ");
}

function styled(line) {
  const parts = [];
  let [text, name, at] = ["", "", 0];
  const add = (piece) => {
    if (!piece) return;
    const from = text.length;
    text += cleaned(piece);
    if (name) parts.push({ from, to: text.length, name });
  };
  for (const found of line.matchAll(ESCAPE)) {
    add(line.slice(at, found.index));
    at = found.index + found[0].length;
    if (found[2] === "m") name = after(name, found[1]);
  }
  add(line.slice(at));
  return { text, parts: parts.length ? parts : null };
}

// The classes after one "select graphic rendition".
function after(name, codes) {
  let [weight, colour] = [/strong|faint/.exec(name)?.[0] ?? "", /tone-\w+/.exec(name)?.[0] ?? ""];
  const numbers = (codes || "0").split(/[;:]/).map(Number);
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 0) [weight, colour] = ["", ""];
    else if (code === 1) weight = "strong";
    else if (code === 2) weight = "faint";
    else if (code === 22) weight = "";
    else if (code === 39) colour = "";
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) colour = `tone-${COLOURS[code % 10]}`;
    else if (code === 38 || code === 48) at += numbers[at + 1] === 5 ? 2 : 4;
  }
  return [weight, colour].filter(Boolean).join(" ");
}

// The pieces of one row of a line, from character `from` to `to`, with what was found in it marked:
// [{text, name, hit}], `hit` is 0 for none, else the place in `hits` + 1. `hits` are [{from, to}], ascending.
export function piecesOf(line, from, to, hits = []) {
  const edges = new Set([from, to]);
  for (const part of [...(line.parts ?? []), ...hits]) for (const edge of [part.from, part.to]) if (edge > from && edge < to) edges.add(edge);
  const sorted = [...edges].sort((one, other) => one - other);
  return sorted.slice(0, -1).map((start, at) => ({
    text: line.text.slice(start, sorted[at + 1]),
    name: line.parts?.find((part) => part.from <= start && start < part.to)?.name ?? "",
    hit: hits.findIndex((hit) => hit.from <= start && start < hit.to) + 1,
  }));
}
