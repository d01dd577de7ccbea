// What looks after the host: which of its verbs is open, and how often something was taken away.
export const upkeep = $state({ verb: "", given: {}, times: 0 });

// Opens the dialog of `recover` or `prune`, with these values told already.
export function openUpkeep(verb, given = {}) {
  upkeep.given = given;
  upkeep.verb = verb;
}
