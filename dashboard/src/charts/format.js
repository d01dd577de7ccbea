// Figures of charts, beside those of lib/format.js.
import { brief, bytes, count, local, percent } from "../lib/format.js";

/** Seconds that something took: `7.5 ms`, `3.2s`, `2h 07m`. */
export const lasting = brief;

/** Seconds since a start as a place on an axis whose ticks are `step` seconds apart: `12.5s`, `4:05`, `2:03:00.125`. */
export function elapsed(seconds, step = 1) {
  const digits = step >= 1 ? 0 : Math.min(4, Math.ceil(-Math.log10(step) - 1e-9));
  const scale = 10 ** digits;
  const rounded = Math.round(Math.abs(seconds) * scale) / scale;
  const sign = seconds < 0 && rounded ? "-" : "";
  if (rounded < 60) return `${sign}${rounded.toFixed(digits)}s`;
  const minutes = Math.floor(rounded / 60);
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  const hours = Math.floor(minutes / 60);
  return sign + (hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`);
}

/** A moment (seconds since the epoch) as a tick of an axis whose ticks are `step` seconds apart, in local time: `14:05`. */
export function tick(at, step = 60) {
  const text = local(at * 1000);
  return step >= 86400 ? text.slice(5, 10) : step >= 60 ? text.slice(11, 16) : text.slice(11);
}

/** The form of a unit: "bytes", "percent", "seconds" or "count". */
export function formOf(unit) {
  return { bytes, percent, seconds: lasting, count }[unit];
}
