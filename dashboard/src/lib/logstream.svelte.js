// The output of a task as it is written: one WebSocket of its own, opened again where it breaks off. Of a long log the
// newest part is here; any other part can be looked at as an excerpt.
import { fetched, taskPath } from "./api.js";
import { LogText } from "./logtext.js";

const PAUSE_MS = 1500;
const EXCERPT_BYTES = 256 * 1024;
const BEFORE_BYTES = 64 * 1024; // of an excerpt, before what it is opened for

// `state`: connecting, following, ended, lost, excerpt. `begins`: how many bytes of the attempt are before what is here.
// `missing`: what of the output nobody has any more, in a sentence; empty for nothing.
export class LogStream {
  version = $state(0);
  state = $state("connecting");
  attempt = $state(0);
  begins = $state(0);
  missing = $state("");
  problem = $state("");
  text = new LogText();
  #path;
  #address;
  #socket = null;
  #timer = 0;
  #drawing = 0;

  constructor(run, key, attempt) {
    this.#path = `${taskPath(run, key)}/log`;
    this.#address = `ws/log?${new URLSearchParams({ run, task: key, ...(attempt ? { attempt: String(attempt) } : {}) })}`;
    this.#open();
  }

  close() {
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#drawing);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  // Back from an excerpt to what is written now.
  follow() {
    this.close();
    this.#drawing = 0;
    this.state = "connecting";
    this.#open();
  }

  // The part around this byte, instead of the newest. Returns the number of its line in `text`. Raises ApiError.
  async excerpt(offset) {
    const from = Math.max(0, offset - BEFORE_BYTES);
    const query = new URLSearchParams({ offset: from, limit: EXCERPT_BYTES, ...(this.attempt ? { attempt: this.attempt } : {}) });
    const answer = await fetched(`${this.#path}?${query}`);
    const data = new Uint8Array(await answer.arrayBuffer());
    this.missing = answer.headers.get("wavepool-problem") ?? this.missing;
    this.close();
    this.#drawing = 0;
    this.text = new LogText();
    this.text.append(data);
    this.begins = from;
    this.state = "excerpt";
    this.version += 1;
    return data.subarray(0, offset - from).reduce((lines, byte) => lines + (byte === 10), 0);
  }

  #open() {
    const base = location.href.replace(/^http/, "ws").replace(/#.*$/, "");
    const socket = new WebSocket(new URL(this.#address, base));
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.text = new LogText(); // it begins anew, with the newest
      this.state = "following";
      this.problem = "";
      this.#changed();
    };
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      if (typeof data === "string") this.#told(JSON.parse(data));
      else this.text.append(new Uint8Array(data));
      this.#changed();
    };
    socket.onclose = () => socket === this.#socket && this.#ended();
  }

  #told(message) {
    if (message.attempt !== undefined) {
      if (this.attempt && message.attempt !== this.attempt) this.text.note(`Attempt ${message.attempt}`);
      else [this.begins, this.missing] = [message.offset ?? 0, ""];
      this.attempt = message.attempt;
    }
    if (message.gap !== undefined) {
      if (this.text.lines.length) this.text.note(message.gap);
      else this.missing = message.gap; // of the output itself, and not of what was sent of it
    }
    if (message.error !== undefined) this.problem = message.error;
    if (message.end !== undefined) {
      this.state = "ended";
      if (message.why) this.text.note(message.why);
    }
  }

  #ended() {
    if (this.problem) this.state = "ended";
    if (this.state === "ended") return;
    this.state = "lost";
    this.#timer = setTimeout(() => this.#open(), PAUSE_MS);
  }

  // Much may come in one frame of the screen: it is drawn once.
  #changed() {
    if (this.#drawing) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      this.version += 1;
    });
  }
}
