// The output of one attempt as lines, bounded: where there is more, the oldest lines go, and that is said.
import { plain } from "./ansi.js";

export const LINES = 50_000;
const CHARACTERS = 16_000_000;
const LONGEST = 100_000; // characters of one line; what is longer is cut into several

export class LogText {
  lines = []; // {text, parts, note?}; a note is ours, not the task's
  gone = 0; // how many lines were given up
  characters = 0;
  #decoder = new TextDecoder("utf-8");
  #open = ""; // the end of what came: a line that has not ended
  #shown = false; // whether that line is the last of `lines`

  // Bytes as they were written. Lines and characters may be split anywhere.
  append(bytes) {
    this.#take(this.#decoder.decode(bytes, { stream: true }));
  }

  // A sentence of ours, on a line of its own: a gap, the end.
  note(text) {
    this.#take(this.#decoder.decode());
    this.#settle();
    this.#push({ text, parts: null, note: true });
  }

  #take(text) {
    if (!text) return;
    const pieces = (this.#open + text).split("\n");
    if (this.#shown) this.#pop();
    this.#open = pieces.pop();
    for (const piece of pieces) this.#line(piece);
    while (this.#open.length > LONGEST) {
      this.#line(this.#open.slice(0, LONGEST));
      this.#open = this.#open.slice(LONGEST);
    }
    if (this.#open) {
      this.#push(plain(this.#open));
      this.#shown = true;
    }
  }

  #line(piece) {
    for (let at = 0; at === 0 || at < piece.length; at += LONGEST) this.#push(plain(piece.slice(at, at + LONGEST)));
  }

  #settle() {
    this.#open = "";
    this.#shown = false;
  }

  #pop() {
    this.characters -= this.lines.pop().text.length;
    this.#shown = false;
  }

  #push(line) {
    this.lines.push(line);
    this.characters += line.text.length;
    if (this.lines.length <= LINES && this.characters <= CHARACTERS) return;
    const many = Math.ceil(LINES / 10);
    for (const given of this.lines.splice(0, Math.min(many, this.lines.length - 1))) {
      this.characters -= given.text.length;
      this.gone += 1;
    }
  }
}

// Where `text` stands in these lines, ignoring case: [{line, from, to}], at most `most`. `line` counts from `gone`.
export function search(log, text, most = 5000) {
  const wanted = text.toLowerCase();
  const found = [];
  if (!wanted) return found;
  for (let at = 0; at < log.lines.length && found.length < most; at += 1) {
    if (log.lines[at].note) continue;
    const line = log.lines[at].text.toLowerCase();
    for (let from = line.indexOf(wanted); from >= 0 && found.length < most; from = line.indexOf(wanted, from + wanted.length)) {
      found.push({ line: log.gone + at, from, to: from + wanted.length });
    }
  }
  return found;
}

// Lines as rows of at most `columns` characters: kept up as lines are added, anew where older ones went.
export class LogRows {
  rows = []; // {line, from, to}; `line` counts from the log's `gone`
  #columns = 0;
  #until = 0; // lines before this one are in `rows` for good
  #gone = 0;
  #log = null;

  // Brings the rows up to the log. Costs what was added; another log than the last begins anew.
  update(log, columns) {
    if (log !== this.#log || columns !== this.#columns || log.gone !== this.#gone) {
      this.rows = [];
      this.#log = log;
      this.#until = log.gone;
      this.#columns = columns;
      this.#gone = log.gone;
    }
    while (this.rows.length && this.rows.at(-1).line >= this.#until) this.rows.pop();
    const end = log.gone + log.lines.length;
    for (let line = this.#until; line < end; line += 1) this.#add(line, log.lines[line - log.gone].text.length);
    this.#until = Math.max(log.gone, end - 1); // the last line may go on
  }

  // The row in which a character of a line is.
  rowOf(line, character) {
    let [low, high] = [0, this.rows.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const row = this.rows[middle];
      if (row.line < line || (row.line === line && row.from <= character)) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #add(line, length) {
    for (let from = 0; from === 0 || from < length; from += this.#columns) {
      this.rows.push({ line, from, to: Math.min(length, from + this.#columns) });
    }
  }
}
