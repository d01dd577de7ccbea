// The places of the navigation: their words, addresses, and icons (paths on a square of 16).
export const PLACES = [
  { view: "overview", word: "Overview", href: "#/", icon: "M2 8.5h3l1.800-5 2.600 9 1.800-4H14" },
  { view: "runs", word: "Runs", href: "#/runs", icon: "M2 4h8M5 8h9M3 12h7" },
  { view: "pools", word: "Pools", href: "#/pools", icon: "M2.500 3h4.500v4H2.500zM9 3h4.500v4H9zM2.500 9h4.500v4H2.500zM9 9h4.500v4H9z" },
  { view: "workspaces", word: "Workspaces", href: "#/workspaces", icon: "M5 3.500v9M5 7c0 2 6 .5 6 3M5 3.500h.01M11 4v.01M11 10v2.500" },
  { view: "processes", word: "Processes", href: "#/processes", icon: "M4 4h8v8H4zM6.500 1.500V4M9.500 1.500V4M6.500 12v2.500M9.500 12v2.500M1.500 6.500H4M1.500 9.500H4M12 6.500h2.500M12 9.500h2.500" },
];

export function isAt(place, route) {
  return route.view === place.view || (route.view === "run" && place.view === "runs");
}
