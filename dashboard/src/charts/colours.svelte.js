// Colours of styles/tokens.css for what draws on a canvas, which takes no `var(...)`.

let version = $state(0);
let watching = false;

function watch() {
  watching = true;
  const switched = new MutationObserver(() => (version += 1));
  switched.observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

/** A function from the name of a token ("--ok") to its colour; an effect that reads it runs again with another theme. */
export function colours() {
  if (!watching) watch();
  void version;
  const style = getComputedStyle(document.documentElement);
  const known = new Map();
  return (name) => {
    if (!known.has(name)) known.set(name, style.getPropertyValue(name).trim());
    return known.get(name);
  };
}
