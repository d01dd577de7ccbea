// The output of a task as it is written: one WebSocket of its own, opened again where it breaks off.
import { LogText } from "./logtext.js";

const PAUSE_MS = 1500;

// `state`: connecting, following, ended, lost. `from` is the byte that what is here begins at, where that is known.
export class LogStream {
  version = $state(0);
  state = $state("connecting");
  attempt = $state(0);
  problem = $state("");
  text = new LogText();
  #address;
  #socket = null;
  #timer = 0;
  #drawing = 0;
  #closed = false;

  constructor(run, key, attempt) {
    const query = new URLSearchParams({ run, task: key, ...(attempt ? { attempt: String(attempt) } : {}) });
    this.#address = `ws/log?${query}`;
    this.#open();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#drawing);
    this.#socket?.close();
  }

  #open() {
    const base = location.href.replace(/^http/, "ws").replace(/#.*$/, "");
    this.#socket = new WebSocket(new URL(this.#address, base));
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onopen = () => {
      this.text = new LogText(); // it begins anew, with the newest
      this.state = "following";
      this.problem = "";
      this.#changed();
    };
    this.#socket.onmessage = ({ data }) => (typeof data === "string" ? this.#told(JSON.parse(data)) : this.#came(data));
    this.#socket.onclose = () => this.#ended();
  }

  #came(data) {
    this.text.append(new Uint8Array(data));
    this.#changed();
  }

  #told(message) {
    if (message.attempt !== undefined) {
      if (this.attempt && message.attempt !== this.attempt) this.text.note(`Attempt ${message.attempt}`);
      this.attempt = message.attempt;
    }
    if (message.gap !== undefined) this.text.note(message.gap);
    if (message.error !== undefined) this.problem = typeof message.error === "string" ? message.error : message.error.message;
    if ("end" in message) {
      this.state = "ended";
      const why = typeof message.end === "string" ? message.end : message.why;
      if (why) this.text.note(why);
    }
    this.#changed();
  }

  #ended() {
    if (this.#closed || this.state === "ended") return;
    if (this.problem) {
      this.state = "ended";
      return;
    }
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
