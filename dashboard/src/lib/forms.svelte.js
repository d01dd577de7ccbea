// What verbs of the command line can be told, as the server has it from the command line itself: fetched once.
import { get } from "./api.js";

class Forms {
  verbs = $state.raw({});
  problem = $state("");
  #known = false;

  // Fetches them where they are not known yet, or not any more wrong.
  async load() {
    if (this.#known) return;
    try {
      this.verbs = (await get("forms")).verbs;
      this.problem = "";
      this.#known = true;
    } catch (error) {
      this.problem = error.message;
    }
  }

  // The options of a verb; none where they are not known.
  options(verb) {
    return this.verbs[verb]?.options ?? [];
  }
}

export const forms = new Forms();
