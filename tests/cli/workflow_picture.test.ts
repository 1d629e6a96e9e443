/** A run as rows, as lines that fit a terminal, and as changes: pure functions of a view. */
import assert from "node:assert/strict";
import { pictureOf } from "../../lib/cli/workflow/follow_run.ts";
import { changesOf, changeText } from "../../lib/cli/workflow/run_changes.ts";
import { fitRows, renderRows } from "../../lib/cli/workflow/run_lines.ts";
import { countStates, countsText, rowGroups, valueText } from "../../lib/cli/workflow/run_rows.ts";
import { nextSteps, statusLines } from "../../lib/cli/workflow/run_status.ts";
import { exitCodeOf, summaryText } from "../../lib/cli/workflow/run_summary.ts";
import { RUN_STATES, STEP_STATES } from "../../lib/core/workflow/records.ts";
import type { RunView, StepInstanceView, StepView } from "../../lib/messages/run_api.ts";
import { runView, stepView } from "../http/records.ts";
import { at, fakeIo, NOW_MS } from "./support.ts";

const PLAIN = { terminal: true, env: { NO_COLOR: "1" } };
const none = () => undefined;

function instance(value: unknown, more: Partial<StepInstanceView> = {}): StepInstanceView {
  const { kind: _k, retryLimit: _r, prompt: _p, keptFrom: _f, ...fields } = stepView({ attempts: 1, node: "host-a" });
  return { ...fields, value, ...more };
}

const ended = { startedAt: at(60), finishedAt: at(51.8), attempts: 1, node: "host-a" };

const DEPLOY = runView({
  startedAt: at(72),
  steps: {
    build: stepView({ ...ended, state: "succeeded", outcome: "succeeded", conclusion: "succeeded" }),
    test: stepView({
      state: "running",
      retryLimit: 2,
      startedAt: at(6.1),
      instances: [
        instance({ os: "alpine" }, { state: "succeeded", startedAt: at(10), finishedAt: at(6), node: "host-b" }),
        instance({ os: "debian" }, {
          ...{ state: "retrying", attempts: 2, startedAt: at(6.1), dueAt: at(-2), error: "exit 1: assertion failed" },
        }),
        instance({ os: "ubuntu", slow: true }, { state: "running", startedAt: at(5), taskId: "t3" }),
      ],
    }),
    approve: stepView({ kind: "approval", why: "waits for test" }),
    ship: stepView({ why: "waits for approve" }),
  },
});

Deno.test("renderRows() shows a run as in the picture that users know", () => {
  const lastLine = (label: string) => label === "test.2" ? "compiling part 3" : undefined;
  const lines = renderRows(fakeIo(PLAIN), rowGroups(DEPLOY, NOW_MS, lastLine), { columns: 100, rowsMax: 20 });
  assert.deepEqual(lines, [
    "  ok  build                1/1  8.2 s   host-a",
    "  ok  test [alpine]        1/3  4.0 s   host-b",
    "  ..  test [debian]        2/3  6.1 s   host-a   retry in 2 s (exit 1: assertion failed)",
    "  ..  test [ubuntu, true]  1/3  5.0 s   host-a   compiling part 3",
    "  --  approve                           waits for test",
    "  --  ship                              waits for approve",
  ]);
});

const STATES: readonly (readonly [Partial<StepView>, string])[] = [
  [{ state: "pending", why: "waits for a" }, "--|waits for a"],
  [{ state: "queued" }, "..|queued"],
  [{ state: "queued", why: "1 node: 1 lacks memory" }, "..|1 node: 1 lacks memory"],
  [{ state: "running" }, "..|said last"],
  [{ state: "waiting", kind: "approval", prompt: "Ship?" }, "..|waits for approval: Ship?"],
  [{ state: "waiting", kind: "sleep", dueAt: at(-90) }, "..|for 1 min 30 s more"],
  [{ state: "waiting", kind: "sleep", dueAt: at(5) }, "..|for 0 s more"],
  [{ state: "retrying", dueAt: at(-2), error: "exit 1" }, "..|retry in 2 s (exit 1)"],
  [{ state: "succeeded" }, "ok|"],
  [{ state: "succeeded", keptFrom: "deploy-1" }, "ok|kept from deploy-1"],
  [{ state: "failed", conclusion: "failed", error: "exit 1" }, "!!|failed: exit 1"],
  [{ state: "failed", conclusion: "succeeded", error: "exit 1" }, "!!|failed, which it may: exit 1"],
  [{ state: "timedOut", error: null }, "!!|timed out"],
  [{ state: "cancelled" }, "--|cancelled"],
  [{ state: "skipped" }, "--|skipped"],
  [{ state: "upstreamFailed" }, "--|not run: what it needs did not succeed"],
];
for (const [fields, expected] of STATES) {
  Deno.test(`a row of a step that is ${JSON.stringify(fields)}`, () => {
    const run = runView({ steps: { a: stepView(fields) } });
    const [{ rows: [row] }] = rowGroups(run, NOW_MS, () => "said last");
    assert.equal(`${row.mark}|${row.note}`, expected);
  });
}

Deno.test("every state of a step has its row", () => {
  const covered = new Set(STATES.map(([fields]) => fields.state));
  assert.deepEqual(STEP_STATES.filter((state) => !covered.has(state)), []);
});

Deno.test("what a step prints cannot move the cursor, and long lines are cut to the terminal", () => {
  const run = runView({ steps: { a: stepView({ state: "running", node: "h\x1b[1A", error: null }) } });
  const io = fakeIo({ ...PLAIN, columns: 40 });
  const lines = pictureOf(io, run, () => `\x1b[2J${"wide ".repeat(50)}`, null);
  for (const line of lines.slice(0, -1)) {
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(line, /[\u0000-\u001f]/);
    assert(line.length <= 40, line);
  }
});

Deno.test("state words are coloured on a terminal, and only there", () => {
  const lines = (terminal: boolean) =>
    renderRows(fakeIo({ terminal }), rowGroups(DEPLOY, NOW_MS, none), { columns: 100, rowsMax: 20 });
  const [first, , third, , fifth] = lines(true);
  assert(first.startsWith("  \x1b[32mok\x1b[39m  build"), first);
  assert(third.startsWith("  \x1b[33m..\x1b[39m"), third);
  assert(fifth.startsWith("  \x1b[90m--\x1b[39m\x1b[90m  approve"), fifth);
  assert(!lines(false).join("").includes("\x1b"));
});

/** 60 instances: 40 ok, 1 failed, 9 running, 10 queued. */
function fanOut(): RunView {
  const instances = Array.from(
    { length: 60 },
    (_, n) => instance(n, { state: n < 40 ? "succeeded" : n === 40 ? "failed" : n < 50 ? "running" : "queued" }),
  );
  const step = stepView({ state: "running", instances });
  return runView({ steps: { list: stepView({ state: "succeeded" }), each: step, after: stepView() } });
}

for (const rowsMax of [1, 2, 3, 5, 10, 30, 62, 100]) {
  Deno.test(`fitRows() keeps a fan-out within ${rowsMax} rows`, () => {
    const rows = fitRows(rowGroups(fanOut(), NOW_MS, none), rowsMax);
    assert(rows.length <= rowsMax, `${rows.length} rows`);
    const notes = rows.map(({ name, note }) => `${name} ${note}`);
    if (rowsMax >= 62) return assert.equal(rows.length, 62);
    if (rowsMax >= 3) assert(notes.includes("each 40 ok, 1 failed, 9 running, 10 queued"), notes.join("\n"));
    if (rowsMax >= 4) assert(notes.includes("each [40] failed"), "what failed is shown where there is room");
    if (rowsMax >= 30) assert.equal(rows.filter(({ name }) => name.startsWith("each [")).length, 20);
  });
}

for (const rowsMax of [3, 5, 10, 50]) {
  Deno.test(`fitRows() keeps a chain of 500 within ${rowsMax} rows, and what runs in sight`, () => {
    const steps = Array.from({ length: 500 }, (_, n): [string, StepView] => [
      `s${n}`,
      stepView({ state: n < 300 ? "succeeded" : n === 300 ? "running" : "pending" }),
    ]);
    const rows = fitRows(rowGroups(runView({ steps: Object.fromEntries(steps) }), NOW_MS, none), rowsMax);
    assert.deepEqual(rows.map(({ name, note }) => [name, note]), [
      ["300 steps", "s0 ... s299"],
      ["s300", ""],
      ["199 steps", "s301 ... s499"],
    ]);
  });
}

Deno.test("renderRows() has room for the names of rows that are joined", () => {
  const steps = Array.from({ length: 30 }, (_, n): [string, StepView] => [`s${n}`, stepView({ state: "succeeded" })]);
  const groups = rowGroups(runView({ steps: Object.fromEntries(steps) }), NOW_MS, none);
  assert.deepEqual(renderRows(fakeIo(PLAIN), groups, { columns: 80, rowsMax: 5 }), [
    "  ok  30 steps            s0 ... s29",
  ]);
});

Deno.test("fitRows() drops what is over before what goes on, and says how much", () => {
  const steps = Array.from({ length: 40 }, (_, n): [string, StepView] => [
    `s${n}`,
    stepView({ state: n % 2 === 0 ? "running" : n === 7 ? "failed" : "succeeded" }),
  ]);
  const rows = fitRows(rowGroups(runView({ steps: Object.fromEntries(steps) }), NOW_MS, none), 10);
  assert.deepEqual(rows.map(({ name }) => name), ["s0", "s2", "s4", "s6", "s7", "s8", "s10", "s12", "s14", "31 more"]);
});

const SUMMARIES: readonly (readonly [Partial<RunView>, string])[] = [
  [{}, "running for 1 min 12 s   2 ok, 1 running, 1 retrying, 2 to come, 1 retried"],
  [{ state: "succeeded", finishedAt: at(0) }, "succeeded in 1 min 12 s   "],
  [{ state: "warning", finishedAt: at(0) }, "succeeded with warnings in 1 min 12 s   "],
  [{ state: "timedOut", finishedAt: at(0) }, "timed out after 1 min 12 s   "],
  [{ state: "queued", startedAt: null }, "queued   "],
];
for (const [fields, expected] of SUMMARIES) {
  Deno.test(`summaryText() of a run that is ${fields.state ?? "running"}`, () => {
    assert(summaryText(fakeIo(PLAIN), { ...DEPLOY, ...fields }).startsWith(expected));
  });
}

Deno.test("exit codes of a run", () => {
  const codes = RUN_STATES.slice(-5).map((state) => [state, exitCodeOf({ state })]);
  assert.deepEqual(codes, [["succeeded", 0], ["warning", 0], ["failed", 1], ["cancelled", 130], ["timedOut", 1]]);
});

Deno.test("the picture says how to approve, and what the deck does not answer", () => {
  const steps = { ask: stepView({ kind: "approval", state: "waiting", prompt: "Ship?" }) };
  const io = fakeIo(PLAIN);
  assert.deepEqual(pictureOf(io, runView({ steps }), none, null), [
    "  ..  ask            waits for approval: Ship?",
    "ormen workflow approve deploy-7f3a ask",
  ]);
  assert.deepEqual(pictureOf(io, runView({ steps }), none, "away").at(-1), "away");
});

Deno.test("changesOf() tells each change once, and nothing of steps that wait for others", () => {
  const first = changesOf(null, DEPLOY);
  assert.deepEqual(first.map(({ step, state }) => `${step} ${state}`), [
    "build succeeded",
    "test.0 succeeded",
    "test.1 retrying",
    "test.2 running",
  ]);
  assert.deepEqual(changesOf(DEPLOY, DEPLOY), []);
  const next: RunView = structuredClone(DEPLOY);
  next.steps.test.instances![1].state = "running";
  next.steps.test.instances![1].attempts = 3;
  next.steps.approve.state = "skipped";
  const lines = changesOf(DEPLOY, next).map((change) => {
    const text = changeText(change, NOW_MS)!;
    return `${change.name}: ${text.word} ${text.rest}`;
  });
  assert.deepEqual(lines, [
    "test [debian]: running host-a  attempt 3  exit 1: assertion failed",
    "approve: skipped ",
  ]);
});

Deno.test("changeText() passes over a step that will run in a moment, and tells what another one waits for", () => {
  const change = (fields: Partial<StepView>) =>
    changeText(changesOf(null, runView({ steps: { a: stepView(fields) } }))[0], NOW_MS)?.rest;
  assert.equal(change({ state: "queued" }), undefined);
  assert.equal(change({ state: "queued", why: "no node" }), "no node");
  assert.equal(change({ state: "retrying", dueAt: at(-2), error: "exit 1" }), "next attempt in 2.0 s  exit 1");
  assert.equal(change({ state: "waiting", kind: "approval", prompt: "Ship?" }), "Ship?");
  assert.equal(change({ state: "succeeded", keptFrom: "deploy-1" }), "kept from deploy-1");
});

const VALUES: readonly (readonly [unknown, string])[] = [
  ["debian", "debian"],
  [12, "12"],
  [{ os: "debian", version: 12 }, "debian, 12"],
  [["a", 1], '["a",1]'],
  [null, "null"],
  ["x".repeat(50), `${"x".repeat(29)}...`],
  ["two\nlines", "two lines"],
];
for (const [value, text] of VALUES) {
  Deno.test(`valueText() ${JSON.stringify(value)}`, () => assert.equal(valueText(value), text));
}

Deno.test("countsText() goes from what is over to what is to come", () => {
  const states = [...STEP_STATES].map((state) => stepView({ state }));
  assert.equal(
    countsText(countStates(states)),
    "1 ok, 1 failed, 1 timed out, 1 cancelled, 1 skipped, 1 not run, 1 running, 1 waiting, 1 retrying, 1 queued, 1 to come",
  );
});

Deno.test("status shows all rows, params, cause and outputs, and what to do next", () => {
  const run = { ...fanOut(), params: { version: "v1", none: null }, cause: "rerun deploy-1", outputs: { d: { a: 1 } } };
  const lines = statusLines(fakeIo({ columns: 80 }), run);
  assert.equal(lines.filter((line) => / each \[/.test(line)).length, 60, "nothing is folded");
  assert.match(lines[1], /^created .* ago {3}rerun deploy-1$/);
  assert(lines.includes("params   version=v1"));
  assert(lines.includes('output   d={"a":1}'));
  assert.deepEqual(nextSteps(run), ["workflow logs -f deploy-7f3a"]);
  assert.deepEqual(nextSteps({ ...run, state: "failed" }), ["workflow resume deploy-7f3a"]);
  assert.deepEqual(nextSteps({ ...run, state: "succeeded" }), []);
});
