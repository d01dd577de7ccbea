// The time as the server has it, once a second: ages and running times count on it. It stands while nothing is told.
let ahead = 0; // how far the server's clock is before ours, in milliseconds
let standing = false;

export const clock = $state({ now: Date.now() });

// The server said what time it is.
export function setClock(time) {
  const told = Date.parse(time);
  if (!Number.isNaN(told)) ahead = told - Date.now();
}

export function stopClock() {
  standing = true;
}

export function startClock() {
  standing = false;
  tick();
}

function tick() {
  if (!standing) clock.now = Date.now() + ahead;
}

setInterval(tick, 1000);
