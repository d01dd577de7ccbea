// All tasks of a run that has more than its document shows: by pages, fetched as they come into sight.
import { get, runPath } from "./api.js";
import { statesOf } from "./states.js";

const PAGE = 200;
const RENEW_MS = 5000;

export class PagedTasks {
  rows = $state.raw([]);
  total = $state(0);
  loaded = $state(false);
  problem = $state("");
  #path;
  #query;
  #sight = [0, 40];
  #asked = new Map(); // page -> when it was asked for last

  constructor(run, { state = "", wave = "", cause = "", text = "" }) {
    this.#path = `${runPath(run)}/tasks`;
    this.#query = [...statesOf(state).map((each) => ["state", each]), ...(wave ? [["wave", wave]] : []), ...(cause ? [["cause", cause]] : []), ...(text ? [["q", text]] : [])];
  }

  // Keeps what is in sight up to date until the returned function is called.
  follow() {
    this.show(...this.#sight);
    const timer = setInterval(() => this.show(...this.#sight), RENEW_MS);
    return () => clearInterval(timer);
  }

  // Rows `first` to `last` are in sight.
  show(first, last) {
    this.#sight = [first, last];
    for (let page = Math.floor(first / PAGE); page * PAGE < Math.max(last, 1); page += 1) this.#fetch(page);
  }

  async #fetch(page) {
    if (Date.now() - (this.#asked.get(page) ?? 0) < RENEW_MS - 200) return;
    this.#asked.set(page, Date.now());
    try {
      const query = new URLSearchParams([...this.#query, ["offset", page * PAGE], ["limit", PAGE]]);
      const answer = await get(`${this.#path}?${query}`);
      const rows = this.total === answer.total ? [...this.rows] : this.rows.slice(0, answer.total);
      answer.tasks.forEach((task, at) => (rows[page * PAGE + at] = task));
      this.total = answer.total;
      this.rows = rows;
      this.loaded = true;
      this.problem = "";
    } catch (error) {
      this.problem = error.message;
    }
  }
}
