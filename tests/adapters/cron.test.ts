/** Points in time of cron expressions: clocks put forward and back, leap days, and what is no expression. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { cronProblem, nextSlotMs } from "../../lib/adapters/cron.ts";

const SLOTS: readonly { name: string; cron: string; zone: string; after: string; slots: readonly (string | null)[] }[] =
  [
    {
      name: "comes at its time in the timezone",
      cron: "0 3 * * *",
      zone: "America/New_York",
      after: "2026-01-10T07:59:59.999Z",
      slots: ["2026-01-10T08:00:00Z", "2026-01-11T08:00:00Z"],
    },
    {
      name: "is never the moment it is asked after",
      cron: "15 10 * * *",
      zone: "UTC",
      after: "2026-03-27T10:15:00Z",
      slots: ["2026-03-28T10:15:00Z"],
    },
    {
      name: "keeps its local time over a clock that is put forward; a time left out comes an hour later",
      cron: "30 2 * * *",
      zone: "Europe/Berlin",
      after: "2026-03-27T12:00:00Z",
      slots: ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
    },
    {
      name: "comes once where the clock is put back",
      cron: "30 2 * * *",
      zone: "Europe/Berlin",
      after: "2026-10-24T12:00:00Z",
      slots: ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
    },
    {
      name: "of every hour comes in both of two equal hours",
      cron: "*/30 * * * *",
      zone: "Europe/Berlin",
      after: "2026-10-25T00:00:00Z",
      slots: [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
        "2026-10-25T02:30:00Z",
      ],
    },
    {
      name: "of every hour goes on where an hour is left out",
      cron: "@hourly",
      zone: "Europe/Berlin",
      after: "2026-03-29T00:00:00Z",
      slots: ["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
    },
    {
      name: "of every hour of one day stays in that day",
      cron: "0 * 25 10 *",
      zone: "Europe/Berlin",
      after: "2026-10-25T21:30:00Z",
      slots: ["2026-10-25T22:00:00Z", "2027-10-24T22:00:00Z"],
    },
    {
      name: "of a leap day waits for one",
      cron: "0 0 29 2 *",
      zone: "UTC",
      after: "2026-03-27T12:00:00Z",
      slots: ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"],
    },
    {
      name: "of a leap day passes over 2100",
      cron: "0 0 29 2 *",
      zone: "UTC",
      after: "2096-03-01T00:00:00Z",
      slots: ["2104-02-29T00:00:00Z"],
    },
    {
      name: "@daily is midnight",
      cron: "@daily",
      zone: "UTC",
      after: "2026-03-27T12:00:00Z",
      slots: ["2026-03-28T00:00:00Z"],
    },
    {
      name: "a day and a weekday: either",
      cron: "0 0 13 * 5",
      zone: "UTC",
      after: "2026-04-09T12:00:00Z",
      slots: ["2026-04-10T00:00:00Z", "2026-04-13T00:00:00Z", "2026-04-17T00:00:00Z"],
    },
  ];
for (const { name, cron, zone, after, slots } of SLOTS) {
  Deno.test(`nextSlotMs() ${name}: ${cron} ${zone}`, () => {
    let atMs = Date.parse(after);
    for (const slot of slots) {
      const nextMs = nextSlotMs(cron, zone, atMs);
      assert.equal(nextMs === null ? null : new Date(nextMs).toISOString(), slot?.replace("Z", ".000Z"));
      atMs = nextMs!;
    }
  });
}

Deno.test("nextSlotMs() of every five minutes is five minutes later, in every zone and season", () => {
  const zones = fc.constantFrom("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe");
  // From 2020 to 2037: all changes of those clocks between them.
  const times = fc.integer({ min: 1_577_836_800, max: 2_114_380_800 });
  fc.assert(fc.property(zones, times, (zone, seconds) => {
    const afterMs = seconds * 1_000;
    const expectedMs = (Math.floor(afterMs / 300_000) + 1) * 300_000;
    assert.equal(nextSlotMs("*/5 * * * *", zone, afterMs), expectedMs);
  }));
});

const PROBLEMS: readonly [string, string, RegExp | undefined][] = [
  ["0 3 * * *", "UTC", undefined],
  ["*/15 9-17 * * MON-FRI", "Europe/Berlin", undefined],
  ["0 3 L * *", "UTC", undefined],
  ["@weekly", "UTC", undefined],
  ["0 3 * * *", "Mars/Olympus", /^unknown timezone "Mars\/Olympus"/],
  ["0 3 * * *", " ", /^unknown timezone/],
  ["61 * * * *", "UTC", /^not a cron expression: "61 \* \* \* \*": Invalid value for minute/],
  ["0 3 * *", "UTC", /^not a cron expression: "0 3 \* \*"; write minute, hour/],
  ["* * * * * *", "UTC", /write minute, hour/],
  ["2026-05-05T00:00:00", "UTC", /write minute, hour/],
  ["@reboot", "UTC", /^not a cron expression/],
  ["*/0 * * * *", "UTC", /stepping/],
  ["5-1 * * * *", "UTC", /From value is larger/],
  ["0 0 30 2 *", "UTC", /never comes/],
];
for (const [cron, zone, says] of PROBLEMS) {
  Deno.test(`cronProblem() ${says ? "refuses" : "accepts"} ${cron} ${zone}`, () => {
    const problem = cronProblem(cron, zone);
    if (says) assert.match(problem ?? "", says);
    else assert.equal(problem, undefined);
  });
}
