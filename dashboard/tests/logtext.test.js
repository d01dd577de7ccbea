import assert from "node:assert/strict";
import { test } from "node:test";
import { piecesOf, plain } from "../src/lib/ansi.js";
import { LINES, LogRows, LogText, search } from "../src/lib/logtext.js";

const bytes = (text) => new TextEncoder().encode(text);
const texts = (log) => log.lines.map((line) => line.text);

test("lines are the same however the bytes are split, also in the middle of a character", () => {
  const whole = bytes("eins\nzwölf €\n\n𝄞 last");
  for (let size = 1; size <= whole.length; size += 1) {
    const log = new LogText();
    for (let at = 0; at < whole.length; at += size) log.append(whole.slice(at, at + size));
    assert.deepEqual(texts(log), ["eins", "zwölf €", "", "𝄞 last"]);
    assert.equal(log.characters, texts(log).join("").length);
  }
});

test("bytes that are no text are told as such, and end nothing", () => {
  const log = new LogText();
  log.append(new Uint8Array([0x61, 0xff, 0x62, 0x0a, 0x00, 0x63]));
  assert.deepEqual(texts(log), ["a\ufffdb", "\ufffdc"]);
});

test("a log is bounded: the oldest lines go, and are counted", () => {
  const log = new LogText();
  for (let at = 0; at < LINES + 10; at += 1000) log.append(bytes("x\n".repeat(1000)));
  log.append(bytes("last"));
  assert.ok(log.lines.length <= LINES);
  assert.equal(log.lines.at(-1).text, "last");
  assert.ok(log.gone > 0);
  const large = new LogText();
  for (let at = 0; at < 40; at += 1) large.append(bytes("y".repeat(1_000_000)));
  assert.ok(large.characters <= 17_000_000, `${large.characters}`);
});

test("notes stand on lines of their own, and what comes after begins a new one", () => {
  const log = new LogText();
  log.append(bytes("half"));
  log.note("output is missing here");
  log.append(bytes("rest\n"));
  assert.deepEqual(log.lines.map((line) => [line.text, line.note === true]), [["half", false], ["output is missing here", true], ["rest", false]]);
});

test("of what a terminal overwrites the last is left; its controls are no text, its colours are classes", () => {
  assert.equal(plain("10%\r50%\r100%\r").text, "100%");
  assert.equal(plain("a\x1b[2Kb\x1b]0;title\x07c\x1b(Bd").text, "abcd");
  const line = plain("\x1b[1;31merror\x1b[0m: \x1b[38;5;4mfine\x1b[m \x1b[92mgreen");
  assert.equal(line.text, "error: fine green");
  assert.deepEqual(line.parts, [
    { from: 0, to: 5, name: "strong tone-bad" },
    { from: 12, to: 17, name: "tone-ok" },
  ]);
  assert.equal(plain("<b>&amp;</b><script>").text, "<b>&amp;</b><script>");
});

test("a row is cut into pieces by colour and by what was found", () => {
  const line = plain("\x1b[31mabcdef\x1b[0mghij");
  const pieces = piecesOf(line, 2, 9, [{ from: 4, to: 8 }]);
  assert.deepEqual(pieces, [
    { text: "cd", name: "tone-bad", hit: 0 },
    { text: "ef", name: "tone-bad", hit: 1 },
    { text: "gh", name: "", hit: 1 },
    { text: "i", name: "", hit: 0 },
  ]);
  assert.equal(piecesOf(line, 0, 10).map((piece) => piece.text).join(""), line.text);
});

test("text is found wherever it stands, whatever its case, and no more of it than asked for", () => {
  const log = new LogText();
  log.append(bytes("Error one\nnothing\nerror ERROR\n"));
  assert.deepEqual(search(log, "error"), [
    { line: 0, from: 0, to: 5 },
    { line: 2, from: 0, to: 5 },
    { line: 2, from: 6, to: 11 },
  ]);
  assert.equal(search(log, "error", 2).length, 2);
  assert.deepEqual(search(log, ""), []);
});

test("rows that grow with their log are those that a whole log has", () => {
  const log = new LogText();
  const rows = new LogRows();
  for (const piece of ["ab", "cdefgh", "ij\nk", "\n", "\nlmno pqrstu", "vw\n", "x"]) {
    log.append(bytes(piece));
    rows.update(log, 4);
    const anew = new LogRows();
    anew.update(log, 4);
    assert.deepEqual(rows.rows, anew.rows);
  }
  const shown = rows.rows.map((row) => log.lines[row.line].text.slice(row.from, row.to));
  assert.deepEqual(shown, ["abcd", "efgh", "ij", "k", "", "lmno", " pqr", "stuv", "w", "x"]);
  assert.equal(rows.rowOf(0, 5), 1);
  assert.equal(rows.rowOf(3, 12), 8);
  rows.update(log, 100);
  assert.equal(rows.rows.length, 5);
  const another = new LogText();
  another.append(bytes("shorter"));
  rows.update(another, 100);
  assert.deepEqual(rows.rows, [{ line: 0, from: 0, to: 7 }]);
});
