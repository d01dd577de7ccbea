import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, between, brief, bytes, clock, count, duration, local, moment, percent, plural, short, usd, zone } from "../src/lib/format.js";

test("sizes are powers of 1,024, with a digit where it says something", () => {
  assert.deepEqual([0, 1, 999, 1000, 1024, 1536, 512 * 2 ** 20, 1.5 * 2 ** 30, 1000 * 2 ** 20, 3 * 2 ** 50].map(bytes), [
    "0 B", "1 B", "999 B", "1 KB", "1 KB", "1.5 KB", "512 MB", "1.5 GB", "1 GB", "3072 TB",
  ]);
});

test("durations have at most two units, and never 60 seconds", () => {
  assert.deepEqual([0, 0.04, 9.94, 9.96, 59.4, 59.6, 185, 3599.7, 7620, 273600].map(duration), [
    "0.0s", "0.0s", "9.9s", "10s", "59s", "1m 00s", "3m 05s", "1h 00m", "2h 07m", "3d 4h",
  ]);
  assert.equal(duration(-3), "0.0s");
  assert.deepEqual([0.0075, 0.12, 1.25].map(brief), ["7.5 ms", "120 ms", "1.3s"]);
});

test("what is not there is never told as a number", () => {
  for (const told of [bytes, duration, brief, count, short, usd, percent, clock, moment, ago]) {
    assert.equal(told(undefined), "–");
    assert.equal(told(null), "–");
  }
  assert.equal(between(undefined, "2026-11-27T00:00:00Z"), undefined);
});

test("counts, money, shares", () => {
  assert.deepEqual([999, 12_400, 99_960, 999_600, 3_140_000].map(short), ["999", "12.4k", "100k", "1.0M", "3.1M"]);
  assert.deepEqual([0, 0.004, 0.05, 1.2, 1234.5].map(usd), ["$0.00", "$0.004", "$0.050", "$1.20", "$1234.50"]);
  assert.deepEqual([0, 0.5, 9.96, 99.6].map(percent), ["0%", "0.5%", "10%", "100%"]);
  assert.equal(count(12345), "12,345");
  assert.deepEqual([plural(1, "task"), plural(2, "task"), plural(0, "child", "children")], ["1 task", "2 tasks", "0 children"]);
});

test("times are told by how long ago they are", () => {
  const now = Date.parse("2026-11-27T12:00:00.000Z");
  const before = (seconds) => new Date(now - seconds * 1000).toISOString();
  assert.deepEqual([0, 12, 190, 7300, 200_000, -5].map((each) => ago(before(each), now)), [
    "just now", "12s ago", "3m ago", "2h ago", "2d ago", "just now",
  ]);
  assert.equal(between(before(90), before(30)), 60);
});

test("moments are told in the zone of who looks, and which one that is", (context) => {
  const before = process.env.TZ;
  context.after(() => (before === undefined ? delete process.env.TZ : (process.env.TZ = before)));
  const [winter, summer] = ["2026-11-27T22:05:09.250Z", "2026-07-01T12:00:00.000Z"];
  const told = (name) => {
    process.env.TZ = name;
    return [moment(winter), zone(summer), clock(winter, Date.parse(winter)), clock(summer, Date.parse(winter))];
  };
  assert.deepEqual(told("UTC"), ["2026-11-27 22:05:09 UTC", "UTC", "22:05:09", "Jul 1 12:00"]);
  assert.deepEqual(told("Europe/Vienna"), ["2026-11-27 23:05:09 UTC+1", "UTC+2", "23:05:09", "Jul 1 14:00"]);
  assert.deepEqual(told("Asia/Kolkata"), ["2026-11-28 03:35:09 UTC+5:30", "UTC+5:30", "03:35:09", "Jul 1 17:30"]);
  assert.deepEqual(told("America/St_Johns"), ["2026-11-27 18:35:09 UTC-3:30", "UTC-2:30", "18:35:09", "Jul 1 09:30"]);
  assert.equal(local(Date.parse(winter)), local(winter));
});
