// Where the page is: `router.route` follows the address.
import { address, parse } from "./routes.js";

export const router = $state({ route: parse(location.hash) });

addEventListener("hashchange", () => {
  router.route = parse(location.hash);
});

export function go(route) {
  location.hash = address(route);
}

// Chooses something in the view that is shown: without an entry in the history, but where `step` says so.
export function choose(changes, { step = false } = {}) {
  const route = { ...router.route, chosen: { ...router.route.chosen, ...changes } };
  if (step) return go(route);
  history.replaceState(null, "", address(route) || "#/");
  router.route = parse(location.hash);
}
