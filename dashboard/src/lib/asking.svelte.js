// One question at a time, before something is destroyed: `if (await ask({...})) ...`.
export const asking = $state({ question: null });
let answer = null;

// `title`, `text`, `action` (the word on the button), `danger`; `number` {label, value, least, most} to choose one.
// Resolves to false, or to true (with `number`: to what was chosen).
export function ask(question) {
  answer?.(false);
  asking.question = question;
  return new Promise((resolve) => {
    answer = resolve;
  });
}

export function answered(value) {
  asking.question = null;
  answer?.(value);
  answer = null;
}
