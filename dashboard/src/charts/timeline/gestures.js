// What keys, pointers and wheels mean on a timeline. Nothing here knows what is drawn: lengths are in pixels.

const DRAG_PX = 4; // a pointer that moved further than this did not press
const APART_PX = 8; // fingers nearer than this are no pinch

const KEYS = {
  ArrowLeft: ["beside", -1],
  ArrowRight: ["beside", 1],
  ArrowUp: ["below", -1],
  ArrowDown: ["below", 1],
  "Shift+ArrowLeft": ["pan", -0.25],
  "Shift+ArrowRight": ["pan", 0.25],
  Home: ["first"],
  Enter: ["open"],
  "+": ["zoom", 2],
  "=": ["zoom", 2],
  "-": ["zoom", 0.5],
  0: ["all"],
  Escape: ["drop"],
};

/** What a key asks for: [name, how far], or null for one that is not ours. */
export function commandOf({ key, shiftKey, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  const name = shiftKey && key.startsWith("Arrow") ? `Shift+${key}` : key;
  return Object.hasOwn(KEYS, name) ? KEYS[name] : null;
}

/** What a turn of a wheel asks for: {zoom: factor}, {pan: pixels}, or null where the page is to scroll. */
export function turnOf({ deltaX, deltaY, ctrlKey, metaKey, shiftKey }) {
  const close = ctrlKey || metaKey;
  if (!close && !shiftKey && Math.abs(deltaX) <= Math.abs(deltaY)) return null;
  return shiftKey || !close ? { pan: deltaX || deltaY } : { zoom: Math.exp(-deltaY / 300) };
}

/**
 * Pointers on the picture, by their ids; points are {x, y}.
 *
 * `act`: {hover(point), leave(), press(point), pan(pixels), zoom(factor, x)}. `move` returns whether it is a drag, which
 * is to go on beyond the picture.
 */
export function pointing(act) {
  const pointers = new Map();
  let dragged = 0;
  return {
    down(id, at) {
      pointers.set(id, at);
      if (pointers.size === 1) dragged = 0;
    },
    move(id, at) {
      const before = pointers.get(id);
      if (!before) {
        act.hover(at);
        return false;
      }
      const other = [...pointers].find(([each]) => each !== id)?.[1];
      if (other) pinch(before, at, other);
      else act.pan(before.x - at.x);
      dragged += Math.abs(at.x - before.x);
      pointers.set(id, at);
      return dragged > DRAG_PX;
    },
    up(id, at) {
      pointers.delete(id);
      if (dragged <= DRAG_PX) act.press(at);
    },
    gone(id) {
      pointers.delete(id);
      act.leave();
    },
  };

  function pinch(before, at, other) {
    const apart = Math.abs(before.x - other.x);
    if (apart > APART_PX) act.zoom(Math.abs(at.x - other.x) / apart, (at.x + other.x) / 2);
  }
}
