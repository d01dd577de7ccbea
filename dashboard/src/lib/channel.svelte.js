// One channel as a view reads it. `get` of a member is reactive; tasks are read by `tasks` and told by `listen`.
import { SvelteMap } from "svelte/reactivity";
import { take } from "./documents.js";

export class Channel {
  name;
  problem = $state("");
  loaded = $state(false);
  version = $state(0); // of the tasks: they are changed in place
  seq = 0;
  tasks = {};
  #document = {};
  #members = new SvelteMap();
  #listeners = new Set();

  constructor(name) {
    this.name = name;
  }

  // What a member is now; undefined where there is none.
  get(member) {
    return this.#members.get(member);
  }

  // `listener(keys)` is called with the keys of tasks that changed, or with null for all. Returns how to stop it.
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  replace(document, seq) {
    this.#document = document;
    this.seq = seq;
    this.tasks = document.tasks ?? {};
    for (const name of [...this.#members.keys()]) if (!(name in document)) this.#members.delete(name);
    for (const name of Object.keys(document)) this.#tell(name);
    this.loaded = true;
    this.problem = "";
    this.#told(null);
  }

  patch(patch, seq) {
    const changed = take(this.#document, patch);
    this.seq = seq;
    for (const name of changed.members) this.#tell(name);
    if (changed.members.includes("tasks")) {
      const whole = this.tasks !== this.#document.tasks;
      this.tasks = this.#document.tasks ?? {};
      this.#told(whole ? null : changed.tasks);
    }
  }

  #tell(name) {
    if (name === "tasks") return;
    if (name in this.#document) this.#members.set(name, this.#document[name]);
    else this.#members.delete(name);
  }

  #told(keys) {
    this.version += 1;
    for (const listener of this.#listeners) listener(keys);
  }
}
