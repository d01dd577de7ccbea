// The tasks of a run as its table has them: filtered and sorted rows, at the cost of changes.
import { Rows } from "./rows.js";
import { filterOf, orderOf } from "./tasks.js";

export class TaskList {
  version = $state(0); // of `rows`
  #rows = new Rows({ accepts: () => true, compare: orderOf("state") });
  #channel;
  #chosen = "";
  #stop;

  constructor(channel) {
    this.#channel = channel;
    this.#stop = channel.listen((keys) => this.#changed(keys));
    this.#changed(null);
  }

  // What is shown now, in order. Reactive.
  get rows() {
    void this.version;
    return this.#rows.shown;
  }

  // Shows what is chosen, where that is another choice than before.
  choose({ state = "", wave = "", cause = "", text = "", sort = "state", turned = false }) {
    const chosen = JSON.stringify([state, wave, cause, text, sort, turned]);
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#rows.reset(this.#channel.tasks, { accepts: filterOf({ state, wave, cause, text }), compare: orderOf(sort, turned) });
    this.version += 1;
  }

  end() {
    this.#stop();
  }

  #changed(keys) {
    const { tasks } = this.#channel;
    if (keys === null) this.#rows.reset(tasks);
    else this.#rows.change(keys, tasks);
    this.version += 1;
  }
}
