// The tasks of a run as its views have them: filtered and sorted rows, and those that failed, each at the cost of changes.
import { Rows } from "./rows.js";
import { groupOf } from "./states.js";
import { filterOf, orderOf } from "./tasks.js";

const failed = (task) => groupOf(task.state) === "failed";

export class TaskList {
  version = $state(0); // of `rows`
  failures = $state.raw([]);
  #rows = new Rows({ accepts: () => true, compare: orderOf("state") });
  #failed = new Rows({ accepts: failed, compare: orderOf("plan") });
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
  choose({ state = "", wave = "", text = "", sort = "state", turned = false }) {
    const chosen = JSON.stringify([state, wave, text, sort, turned]);
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    this.#rows.reset(this.#channel.tasks, { accepts: filterOf({ state, wave, text }), compare: orderOf(sort, turned) });
    this.version += 1;
  }

  end() {
    this.#stop();
  }

  #changed(keys) {
    const { tasks } = this.#channel;
    if (keys === null) {
      this.#rows.reset(tasks);
      this.#failed.reset(tasks);
    } else {
      this.#rows.change(keys, tasks);
      this.#failed.change(keys, tasks);
    }
    this.version += 1;
    if (keys === null || this.#failed.touched) this.failures = [...this.#failed.shown];
  }
}
