// Thousands of rows, filtered and sorted, at the cost of what changes: each stands where a binary search puts it.

export class Rows {
  #accepts;
  #compare;
  #entries = new Map(); // key -> the entry as it stands in `shown`, or null where it is filtered out
  shown = [];

  // `compare` must tell any two entries apart; `accepts` says which are shown.
  constructor({ accepts, compare }) {
    this.#accepts = accepts;
    this.#compare = compare;
  }

  // All of them anew.
  reset(entries, { accepts = this.#accepts, compare = this.#compare } = {}) {
    this.#accepts = accepts;
    this.#compare = compare;
    this.#entries = new Map(Object.entries(entries).map(([key, entry]) => [key, accepts(entry) ? entry : null]));
    this.shown = [...this.#entries.values()].filter(Boolean).sort(compare);
  }

  // Those whose keys are told have changed in `entries`, come, or gone.
  change(keys, entries) {
    if (keys.length > 64 && keys.length > this.#entries.size / 8) return this.reset(entries);
    for (const key of keys) this.#changeOne(key, entries[key]);
  }

  #changeOne(key, entry) {
    const before = this.#entries.get(key);
    if (before) {
      this.shown.splice(this.#place(before), 1);
      }
    if (entry === undefined) {
      this.#entries.delete(key);
      return;
    }
    const shown = this.#accepts(entry);
    this.#entries.set(key, shown ? entry : null);
    if (shown) this.shown.splice(this.#place(entry), 0, entry);
  }

  // Where the entry stands, or would.
  #place(entry) {
    let [low, high] = [0, this.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.shown[middle], entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
