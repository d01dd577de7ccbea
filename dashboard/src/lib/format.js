// Numbers, sizes and times as people read them. Absent (undefined) is told as an en dash, never as 0.
export const NOTHING = "–";

const absent = (value) => value === undefined || value === null || Number.isNaN(value);
const UNITS = ["B", "KB", "MB", "GB", "TB"];

// Powers of 1,024, as memory limits are: 512 MB, 1.5 GB.
export function bytes(value) {
  if (absent(value)) return NOTHING;
  let unit = 0;
  let left = Math.abs(value);
  while (left >= 999.5 && unit < UNITS.length - 1) {
    left /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && left < 9.95 ? 1 : 0;
  return `${value < 0 ? "-" : ""}${left.toFixed(digits).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

// Seconds: 0.4s, 12s, 3m 05s, 2h 07m, 3d 4h.
export function duration(value) {
  if (absent(value)) return NOTHING;
  if (value < 9.95) return `${Math.max(0, value).toFixed(1)}s`;
  const total = Math.round(value);
  const [days, hours, minutes, left] = [Math.floor(total / 86400), Math.floor(total / 3600) % 24, Math.floor(total / 60) % 60, total % 60];
  if (days) return `${days}d ${hours}h`;
  if (hours) return `${hours}h ${String(minutes).padStart(2, "0")}m`;
  return minutes ? `${minutes}m ${String(left).padStart(2, "0")}s` : `${left}s`;
}

// Dispatch and other short times: 7.5 ms, 1.2s.
export function brief(value) {
  if (absent(value)) return NOTHING;
  return value < 1 ? `${(value * 1000).toFixed(value < 0.01 ? 1 : 0)} ms` : duration(value);
}

export function count(value) {
  return absent(value) ? NOTHING : Math.round(value).toLocaleString("en-US");
}

// Tokens: 980, 12.4k, 3.1M.
export function short(value) {
  if (absent(value)) return NOTHING;
  if (value < 1000) return String(Math.round(value));
  if (value < 999_500) return `${(value / 1000).toFixed(value < 99_950 ? 1 : 0)}k`;
  return `${(value / 1_000_000).toFixed(1)}M`;
}

export function usd(value) {
  if (absent(value)) return NOTHING;
  return `$${value.toFixed(value !== 0 && value < 0.095 ? 3 : 2)}`;
}

export function percent(value) {
  if (absent(value)) return NOTHING;
  return `${value.toFixed(value !== 0 && value < 9.95 ? 1 : 0)}%`;
}

// Seconds between two times of the documents (ISO 8601), or undefined.
export function between(from, to) {
  if (!from || !to) return undefined;
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000);
}

// Times are told in the zone of who looks, by the functions below and no others. They take milliseconds since the epoch,
// or a time of the documents (ISO 8601).

// A moment: 2026-11-27 14:05:09.
export function local(time) {
  const at = new Date(time);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19).replace("T", " ");
}

// The zone here at that moment: UTC, UTC+1, UTC-3:30.
export function zone(time) {
  const minutes = -new Date(time).getTimezoneOffset();
  const [hours, left] = [Math.floor(Math.abs(minutes) / 60), Math.round(Math.abs(minutes) % 60)];
  if (!hours && !left) return "UTC";
  return `UTC${minutes < 0 ? "-" : "+"}${hours}${left ? `:${String(left).padStart(2, "0")}` : ""}`;
}

// A moment with its zone, where somebody may be elsewhere or compare it with a log: 2026-11-27 14:05:09 UTC+1.
export function moment(time) {
  return absent(time) ? NOTHING : `${local(time)} ${zone(time)}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// The time of day, with the day where it is another one: 14:03:22, Nov 26 14:03.
export function clock(time, now = Date.now()) {
  if (absent(time)) return NOTHING;
  const [day, hour] = local(time).split(" ");
  if (local(now).startsWith(day)) return hour;
  return `${MONTHS[Number(day.slice(5, 7)) - 1]} ${Number(day.slice(8))} ${hour.slice(0, 5)}`;
}

// How long ago, in one unit: just now, 12s ago, 3m ago, 2h ago, 5d ago.
export function ago(time, now) {
  if (absent(time)) return NOTHING;
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)}s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ago`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)}h ago` : `${Math.floor(seconds / 86400)}d ago`;
}

export function plural(number, one, many = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : many}`;
}
