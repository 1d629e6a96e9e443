/** Every workflow that people are shown, in workflows/ and in the documentation, is one: judged as the deck judges it. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { cronProblem } from "../../lib/adapters/cron.ts";
import { keysAt } from "../../lib/core/documents/issues.ts";
import { serviceDocument } from "../../lib/core/documents/service.ts";
import { taskDocument } from "../../lib/core/documents/task.ts";
import { workflowDocument } from "../../lib/core/documents/workflow.ts";
import { checkSource } from "../../lib/core/workflow/validate.ts";
import type { Source } from "../../lib/core/workflow/source.ts";
import { canary } from "../../workflows/canary.ts";

const TOP = new URL("../..", import.meta.url).pathname;
const EXAMPLES = `${TOP}workflows`;

for (const { name } of Deno.readDirSync(EXAMPLES)) {
  if (!name.endsWith(".yaml")) continue;
  Deno.test(`workflows/${name} is a workflow, and says what it shows`, () => {
    const text = Deno.readTextFileSync(`${EXAMPLES}/${name}`);
    const comment = text.match(/^(?:# .*\n)+/)?.[0] ?? "";
    const lines = comment.split("\n").length - 1;
    assert.ok(lines >= 1 && lines <= 3, `it begins with ${lines} lines of comment; one to three say what it shows`);
    check({ workflow: withFiles(parse(text)), included: includedOf(parse(text)) });
  });
}

Deno.test("workflows/canary.ts makes a workflow", () => check({ workflow: canary }));

for (const page of ["docs/workflows.md", "docs/rollouts.md", "README.md"]) {
  const blocks = [...Deno.readTextFileSync(TOP + page).matchAll(/```yaml\n(name:[\s\S]*?)```/g)]
    .filter(([, block]) => /^steps:/m.test(block));
  Deno.test(`${page} shows workflows`, () => assert.ok(blocks.length > 0));
  for (const [index, [, block]] of blocks.entries()) {
    Deno.test(`${page}: workflow ${index + 1} (${/^name: (.*)/.exec(block)?.[1]}) is one`, () => {
      check({ workflow: parse(block) });
    });
  }
}

for (const page of ["docs/rollouts.md", "README.md"]) {
  const blocks = [...Deno.readTextFileSync(TOP + page).matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block)
    .filter((block) => !/^steps:/m.test(block));
  Deno.test(`${page} shows services`, () => assert.ok(blocks.some((block) => /^task:/m.test(block))));
  for (const [index, block] of blocks.entries()) {
    const [what, schema] = /^task:/m.test(block)
      ? ["service", serviceDocument] as const
      : ["task", taskDocument] as const;
    Deno.test(`${page}: document ${index + 1} is of a ${what}`, () => {
      const result = schema.safeParse(parse(block));
      assert.deepEqual(result.success ? [] : result.error.issues, []);
    });
  }
}

Deno.test("docs/rollouts.md names every key", () => {
  const page = Deno.readTextFileSync(`${TOP}docs/rollouts.md`);
  const keys = [[], ["update"], ["update", "analysis"], ["update", "analysis", "http"]].flatMap((path) =>
    keysAt(serviceDocument, path)
  );
  assert.ok(keys.includes("spread") && keys.includes("monitor") && keys.includes("failureLimit"));
  // Of the analysis some stand in the example alone.
  assert.deepEqual(keys.filter((key) => !page.includes(`\`${key}\``) && !page.includes(`${key}: `)), []);
});

Deno.test("docs/workflows.md names every key", () => {
  const page = Deno.readTextFileSync(`${TOP}docs/workflows.md`);
  const places = [
    [],
    ["steps", "x"],
    ["finally", 0],
    ["params", "x"],
    ["schedule"],
    ["concurrency"],
    ["defaults"],
    [
      "steps",
      "x",
      "retry",
    ],
    ["steps", "x", "http"],
    ["steps", "x", "approval"],
  ];
  const keys = new Set(places.flatMap((path) => keysAt(workflowDocument, path)));
  assert.ok(keys.has("retry") && keys.has("overlap") && keys.has("expect") && keys.has("id"));
  assert.deepEqual([...keys].filter((key) => !page.includes(`\`${key}\``)), []);
});

function check(source: Source): void {
  const checked = checkSource(source, { cronProblem });
  assert.deepEqual(checked.kind === "invalid" ? checked.problems : [], []);
}

interface Steps {
  readonly steps: Record<string, { workflow?: string; files?: Record<string, { from?: string }> }>;
}

/** As the command line sends it: files that it names are read into it. */
function withFiles(document: Steps): Steps {
  for (const { files = {} } of Object.values(document.steps)) {
    for (const [path, { from }] of Object.entries(files)) {
      if (from !== undefined) Object.assign(files, { [path]: Deno.readTextFileSync(`${EXAMPLES}/${from}`) });
    }
  }
  return document;
}

function includedOf({ steps }: Steps): Record<string, unknown> {
  const names = Object.values(steps).flatMap(({ workflow }) => workflow === undefined ? [] : [workflow]);
  return Object.fromEntries(names.map((name) => [name, parse(Deno.readTextFileSync(`${EXAMPLES}/${name}`))]));
}
