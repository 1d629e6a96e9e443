import assert from "node:assert/strict";
import { ago, clockTime, humanDuration, sinceTime, span } from "../../lib/cli/times.ts";
import { at, NOW_MS } from "./support.ts";

const S = 1000, MIN = 60 * S, H = 60 * MIN, D = 24 * H;

/** As go-units' own tests have them. */
const DURATIONS: readonly [number, string][] = [
  [450, "Less than a second"],
  [1 * S, "1 second"],
  [45 * S, "45 seconds"],
  [46 * S, "46 seconds"],
  [59 * S, "59 seconds"],
  [60 * S, "About a minute"],
  [90 * S, "About a minute"],
  [3 * MIN, "3 minutes"],
  [35 * MIN + 45 * S, "35 minutes"],
  [65 * MIN, "About an hour"],
  [105 * MIN, "2 hours"],
  [3 * H, "3 hours"],
  [3.5 * H, "4 hours"],
  [24 * H, "24 hours"],
  [48 * H, "2 days"],
  [9 * D, "9 days"],
  [14 * D, "2 weeks"],
  [35 * D, "5 weeks"],
  [61 * D, "2 months"],
  [365 * D, "12 months"],
  [730 * D, "2 years"],
];
for (const [ms, text] of DURATIONS) {
  Deno.test(`humanDuration() ${text} (${ms})`, () => assert.equal(humanDuration(ms), text));
}

Deno.test("ago() takes a clock that is behind as now", () => {
  assert.equal(ago(at(-60), NOW_MS), "Less than a second ago");
  assert.equal(ago(at(120), NOW_MS), "2 minutes ago");
});

const SPANS: readonly [number, string][] = [
  [0, "0.0 s"],
  [312, "0.3 s"],
  [9949, "9.9 s"],
  [9950, "10 s"],
  [59_499, "59 s"],
  [72_000, "1 min 12 s"],
  [7500 * S, "2 h 5 min"],
  [3 * D + 4 * H, "3 d 4 h"],
];
for (const [ms, text] of SPANS) Deno.test(`span() ${text}`, () => assert.equal(span(ms), text));

Deno.test("clockTime() adds the date when it is not today's", () => {
  assert.match(clockTime(at(0), NOW_MS), /^\d\d:\d\d:\d\d$/);
  assert.match(clockTime(at(3 * 86_400), NOW_MS), /^2026-11-\d\d \d\d:\d\d:\d\d$/);
});

Deno.test("sinceTime() takes durations and times", () => {
  assert.equal(sinceTime("10m", NOW_MS), at(600));
  assert.equal(sinceTime("2026-11-22T13:00:00Z", NOW_MS), "2026-11-22T13:00:00.000Z");
  assert.throws(() => sinceTime("tomorrow", NOW_MS), { exitCode: 2 });
});
