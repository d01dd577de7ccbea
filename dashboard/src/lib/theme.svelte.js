// Light or dark: as the system says, or as chosen here. `data-theme` of the root element always holds one of the two.
const KEY = "wavepool-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

export const theme = $state({ chosen: remembered(), shown: "light" });

function remembered() {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto"; // a browser that keeps nothing
  }
}

function show() {
  theme.shown = theme.chosen === "auto" ? (system.matches ? "dark" : "light") : theme.chosen;
  document.documentElement.dataset.theme = theme.shown;
}

export function chooseTheme(chosen) {
  theme.chosen = chosen;
  try {
    localStorage.setItem(KEY, chosen);
  } catch {
    // it holds until the page is closed
  }
  show();
}

system.addEventListener("change", show);
show();
