/** checkSource() and the reading of files answer whatever the document, and what they call valid can be made ready to run. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { compileExpression } from "../../../lib/core/workflow/expression.ts";
import { planOf } from "../../../lib/core/workflow/plan.ts";
import { renderGraph } from "../../../lib/core/workflow/render_graph.ts";
import { expressionsOfStep } from "../../../lib/core/workflow/texts.ts";
import { checkSource } from "../../../lib/core/workflow/validate.ts";
import { changed, changes } from "../../fuzz/mutations.ts";

const HONEST = {
  workflow: {
    name: "deploy",
    params: {
      version: { type: "string", required: true, pattern: "^v\\d" },
      env: { type: "string", enum: ["staging", "prod"], default: "staging" },
    },
    env: { APP: "web", TAG: "${{ params.version }}" },
    secrets: ["DB_URL"],
    schedule: { cron: "0 3 * * *", catchupWindow: "6h", params: { version: "v1" } },
    concurrency: { group: "deploy-${{ params.env }}", limit: 1 },
    timeout: "1h",
    defaults: { timeout: "10m", retry: { limit: 2, delay: "2s" } },
    steps: {
      build: {
        task: { image: "builder:1", cpu: 0.5, memory: "256MiB", ports: ["8080:80"], health: { tcp: 80 } },
        run: 'build "$VERSION"',
        files: { "/work/build.conf": { content: "x", mode: "0644" } },
        env: { VERSION: "${{ env.TAG }}" },
        outputs: { digest: "${{ fromJSON(stdout).digest }}" },
        retry: { limit: 1, when: "exitCode == 2 && outcome == 'failed'" },
      },
      test: {
        needs: ["build"],
        matrix: { os: ["alpine", "debian"], include: [{ os: "ubuntu", slow: true }], exclude: [{ os: "debian" }] },
        maxParallel: 2,
        task: { image: "test:${{ matrix.os }}", cmd: ["test", "${{ steps.build.outputs.digest }}"] },
      },
      each: { needs: ["build"], forEach: "${{ steps.build.outputs.list }}", sleep: "${{ item }}s" },
      approve: {
        needs: ["test"],
        when: "params.env == 'prod'",
        approval: { prompt: "Ship ${{ params.version }}?", inputs: { ticket: {} } },
      },
      smoke: {
        needs: [{ step: "approve", condition: "finished" }],
        http: {
          url: "http://h/${{ has(steps.approve.outputs.ticket) ? steps.approve.outputs.ticket : '' }}",
          headers: { A: "${{ run.id }}" },
          expect: "status == 200",
        },
      },
      warm: { needs: ["smoke"], workflow: "warm.yaml", with: { shards: 2 }, continueOnError: true },
    },
    onFailure: [{ task: { image: "tools:1" }, run: "page" }],
    finally: [{ id: "last", task: { image: "tools:1" }, run: "cleanup", timeout: "2m" }],
    outputs: { digest: "${{ steps.build.outputs.digest }}" },
  },
  included: {
    "warm.yaml": { name: "warm", params: { shards: { type: "number" } }, steps: { a: { sleep: "1s" } } },
  },
};

type Source = Parameters<typeof checkSource>[0];

Deno.test("checkSource() finds nothing wrong with what the hostile ones are made from", () => {
  assert.deepEqual(checkSource(HONEST), { ...checkSource(HONEST), kind: "valid" });
});

Deno.test("checkSource() answers whatever the document, and what is valid can be made ready to run", () => {
  let valid = 0;
  const isObject = (value: unknown): value is Source =>
    typeof value === "object" && value !== null && typeof (value as Source).included === "object" &&
    (value as Source).included !== null;
  fc.assert(
    fc.property(changes, (list) => {
      const source = JSON.parse(JSON.stringify(changed(HONEST, list)) ?? "null");
      if (!isObject(source)) return;
      const before = JSON.stringify(source);
      const checked = checkSource(source);
      assert.equal(JSON.stringify(source), before, "the document was changed");
      if (checked.kind === "invalid") {
        assert.ok(checked.problems.length > 0 && checked.problems.length <= 100);
        for (const { detail, rule, offset } of checked.problems) {
          assert.ok(detail !== "" && detail.length <= 1_003 && /^[a-zA-Z]+$/.test(rule), detail);
          assert.ok(offset === null || offset >= 0, `${offset}`);
        }
        return;
      }
      valid++;
      for (const spec of [checked.spec, ...checked.included.values()]) {
        const plan = planOf(spec);
        for (const { spec: step } of plan.steps) {
          for (const { source, scope } of expressionsOfStep(step)) {
            assert.equal(compileExpression(source, scope).kind, "expression", source);
          }
        }
        for (const format of ["text", "mermaid", "dot"] as const) assert.ok(renderGraph(spec, format).endsWith("\n"));
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(valid > 25, `${valid} of the documents were valid: too few to say anything`);
});
