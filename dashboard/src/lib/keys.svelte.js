// Single keys, which a person may turn off (WCAG 2.1.4): some dictate, some press keys by chance.
const KEY = "wavepool-keys";

export const keys = $state({ on: remembered() });

function remembered() {
  try {
    return localStorage.getItem(KEY) !== "off";
  } catch {
    return true;
  }
}

export function turnKeys(on) {
  keys.on = on;
  try {
    localStorage.setItem(KEY, on ? "on" : "off");
  } catch {
    // it holds until the page is closed
  }
}

// True where a key is typed into something, or belongs to the browser.
export function isTyped(event) {
  const place = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  return place.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(place.tagName) || document.querySelector("dialog[open]") !== null;
}
