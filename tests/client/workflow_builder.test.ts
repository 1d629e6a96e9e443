import assert from "node:assert/strict";
import { parse } from "yaml";
import { cel, type Workflow, workflow } from "../../lib/client/mod.ts";
import { workflowDocument } from "../../lib/core/documents/workflow.ts";
import { checkSource } from "../../lib/core/workflow/validate.ts";
import type { RunRequest } from "../../lib/messages/run_api.ts";

const BUILT: readonly { readonly name: string; readonly built: Workflow; readonly yaml: string }[] = [
  {
    name: "steps, needs and outputs",
    built: workflow("deploy", (w) => {
      const build = w.task("build", {
        task: { image: "builder:1", cpu: 0.5, memory: "256MiB" },
        run: 'build "$VERSION"',
        outputs: { digest: cel`fromJSON(stdout).digest` },
      });
      w.task("test", { needs: [build], task: { image: "test:1" }, env: { D: build.outputs.digest } });
    }),
    yaml: `
name: deploy
steps:
  build:
    task: { image: "builder:1", cpu: 0.5, memory: 256MiB }
    run: build "$VERSION"
    outputs: { digest: "\${{ fromJSON(stdout).digest }}" }
  test:
    needs: [build]
    task: { image: "test:1" }
    env: { D: "\${{ steps.build.outputs.digest }}" }
`,
  },
  {
    name: "parameters, variables and what else stands above the steps",
    built: workflow("nightly", {
      description: "every night",
      params: {
        version: { type: "string", required: true, pattern: "^v\\d" },
        env: { type: "string", enum: ["staging", "prod"], default: "staging" },
      },
      env: { APP: "web" },
      secrets: ["DB_URL"],
      schedule: { cron: "0 3 * * *", timezone: "UTC", catchup: "latest", catchupWindow: "6h", overlap: "skip" },
      concurrency: { group: "nightly-${{ params.env }}", limit: 1, onConflict: "queue" },
      timeout: "1h",
      defaults: { timeout: "10m", retry: { limit: 2, delay: "2s", factor: 2, maxDelay: "1m", jitter: 0.1 } },
    }, (w) => {
      const shards = w.param("shards", { type: "number", default: 3 });
      const ship = w.task("ship", {
        when: cel`${w.params.env} == "prod"`,
        task: { image: `web:${w.params.version}`, cpu: shards, ports: [8080], env: { FULL: cel`${shards} > 2` } },
        run: "ship",
        shell: ["bash", "-e"],
        files: { "/work/ship.conf": { from: "ship.conf" } },
        env: { NAME: `${w.env.APP}-${w.params.version}`, RUN: w.runId, TRY: w.attempt },
        retry: { limit: 1, when: cel`exitCode == ${75}` },
        onNodeLost: "retry",
      });
      return { address: ship.output("address") };
    }),
    yaml: `
name: nightly
description: every night
params:
  version: { type: string, required: true, pattern: "^v\\\\d" }
  env: { type: string, enum: [staging, prod], default: staging }
  shards: { type: number, default: 3 }
env: { APP: web }
secrets: [DB_URL]
schedule: { cron: "0 3 * * *", timezone: UTC, catchup: latest, catchupWindow: 6h, overlap: skip }
concurrency: { group: "nightly-\${{ params.env }}", limit: 1, onConflict: queue }
timeout: 1h
defaults: { timeout: 10m, retry: { limit: 2, delay: 2s, factor: 2, maxDelay: 1m, jitter: 0.1 } }
steps:
  ship:
    when: params.env == "prod"
    task:
      image: "web:\${{ params.version }}"
      cpu: "\${{ params.shards }}"
      ports: [8080]
      env: { FULL: "\${{ params.shards > 2 }}" }
    run: ship
    shell: [bash, -e]
    files: { /work/ship.conf: { from: ship.conf } }
    env:
      NAME: "\${{ env.APP }}-\${{ params.version }}"
      RUN: "\${{ run.id }}"
      TRY: "\${{ attempt }}"
    retry: { limit: 1, when: exitCode == 75 }
    onNodeLost: retry
outputs: { address: "\${{ steps.ship.outputs.address }}" }
`,
  },
  {
    name: "every kind of step, fan-outs, and what follows a failure and the end",
    built: workflow("kinds", (w) => {
      const warm = workflow("warm", (inner) => {
        const list = inner.task("list", { task: { image: "tools:1" }, outputs: { hot: "${{ stdout }}" } });
        return { hot: list.outputs.hot };
      });
      const on = w.matrix({ os: ["alpine", "debian"], include: [{ os: "ubuntu", slow: true }] });
      const test = w.task("test-all", {
        matrix: on,
        maxParallel: 2,
        failFast: false,
        task: { image: `test:${on.os}` },
        env: { SLOW: cel`has(${on.slow})` },
      });
      const list = w.run("list", { run: "list", outputs: { items: cel`fromJSON(stdout)` } });
      const each = w.task("each", {
        needs: [list],
        forEach: list.outputs.items,
        task: { image: "tools:1", cmd: ["work", w.item.at("name"), w.item.at("parts").at(0)] },
      });
      const approve = w.approval("approve", {
        needs: [test, { step: each, condition: "finished" }],
        when: cel`!failed(${each}) && ${test.state} != 'skipped'`,
        approval: { prompt: `Ship ${w.runId}?`, inputs: { ticket: { type: "string", required: true } } },
        timeout: "24h",
      });
      const pause = w.sleep("pause", { needs: [approve], sleep: "1s" });
      const ship = w.rollout("ship", {
        needs: [pause],
        rollout: {
          service: "web",
          replicas: cel`params.n`,
          task: { image: `web:${w.runId}` },
          update: { monitor: "1s" },
        },
      });
      const smoke = w.http("smoke", {
        needs: [{ step: ship, condition: "healthy" }],
        http: {
          url: `http://${ship.outputs.address}/up`,
          method: "POST",
          headers: { "X-Ticket": approve.outputs.ticket },
          body: approve.outputs.ticket,
          expect: cel`status == 200`,
        },
      });
      const child = w.workflow("warm", {
        needs: [smoke],
        workflow: warm,
        with: { shards: 2, name: cel`run.id` },
        continueOnError: true,
      });
      w.sleep("cool", { needs: [child], sleep: child.outputs.hot });
      w.onFailure({ id: "page", task: { image: "tools:1" }, run: 'page "$ORMEN_FAILED_STEP failed"' });
      w.finally({ task: { image: "tools:1" }, run: "cleanup", timeout: "2m", when: cel`failed(${test})` });
    }),
    yaml: `
name: kinds
steps:
  test-all:
    matrix: { os: [alpine, debian], include: [{ os: ubuntu, slow: true }] }
    maxParallel: 2
    failFast: false
    task: { image: "test:\${{ matrix.os }}" }
    env: { SLOW: "\${{ has(matrix.slow) }}" }
  list: { run: list, outputs: { items: "\${{ fromJSON(stdout) }}" } }
  each:
    needs: [list]
    forEach: "\${{ steps.list.outputs.items }}"
    task: { image: "tools:1", cmd: [work, "\${{ item.name }}", "\${{ item.parts[0] }}"] }
  approve:
    needs: [test-all, { step: each, condition: finished }]
    when: "!failed(\\"each\\") && steps[\\"test-all\\"].state != 'skipped'"
    approval: { prompt: "Ship \${{ run.id }}?", inputs: { ticket: { type: string, required: true } } }
    timeout: 24h
  pause: { needs: [approve], sleep: 1s }
  ship:
    needs: [pause]
    rollout: { service: web, replicas: "\${{ params.n }}", task: { image: "web:\${{ run.id }}" }, update: { monitor: 1s } }
  smoke:
    needs: [{ step: ship, condition: healthy }]
    http:
      url: "http://\${{ steps.ship.outputs.address }}/up"
      method: POST
      headers: { X-Ticket: "\${{ steps.approve.outputs.ticket }}" }
      body: "\${{ steps.approve.outputs.ticket }}"
      expect: status == 200
  warm: { needs: [smoke], workflow: warm, with: { shards: 2, name: "\${{ run.id }}" }, continueOnError: true }
  cool: { needs: [warm], sleep: "\${{ steps.warm.outputs.hot }}" }
onFailure: [{ id: page, task: { image: "tools:1" }, run: 'page "$ORMEN_FAILED_STEP failed"' }]
finally:
  - { task: { image: "tools:1" }, run: cleanup, timeout: 2m, when: 'failed("test-all")' }
`,
  },
];

for (const { name, built, yaml } of BUILT) {
  Deno.test(`workflow() makes what YAML makes: ${name}`, () => {
    const written = parse(yaml);
    assert.deepEqual(built, written);
    assert.deepEqual(Object.keys(built.steps), Object.keys(written.steps));
    const request: RunRequest = { workflow: built };
    assert.equal(workflowDocument.parse(request.workflow).name, built.name);
  });
}

Deno.test("workflow() makes documents that are judged as any other: an output of a step that is not needed", () => {
  const source = {
    workflow: workflow("unneeded", (w) => {
      const build = w.task("build", { task: { image: "builder:1" }, outputs: { digest: "${{ stdout }}" } });
      w.task("test", { task: { image: "test:1" }, env: { DIGEST: build.outputs.digest } });
    }),
  };
  const checked = checkSource(source);
  assert.equal(checked.kind, "invalid");
  assert.deepEqual(checked.problems.map(({ path, detail }) => [path.join("."), detail]), [
    ["steps.test.env.DIGEST", "step test does not wait for step build; add it to `needs`"],
  ]);
});

Deno.test("cel`` puts texts in as literals, and expressions as one operand each", () => {
  const said = `a" || true || "`;
  assert.equal(cel`params.a == ${said}`.source, String.raw`params.a == "a\" || true || \""`);
  const either = cel`params.a || params.b`;
  assert.equal(cel`!${either}`.source, "!(params.a || params.b)");
  assert.equal(cel`params.os in ${["a", "b"]}`.source, 'params.os in ["a","b"]');
  assert.equal(either.at("x").source, "(params.a || params.b).x");
  assert.equal(cel`item`.at("package").at(0).source, 'item["package"][0]');
});

Deno.test("workflow() refuses a second step or parameter of one name", () => {
  assert.throws(
    () =>
      workflow("twice", (w) => {
        w.sleep("wait", { sleep: "1s" });
        w.sleep("wait", { sleep: "2s" });
      }),
    /cannot add the step "wait": there is one of that name already/,
  );
  assert.throws(
    () => workflow("twice", { params: { a: { type: "string" } } }, (w) => void w.param("a", { type: "number" })),
    /cannot add the parameter "a": there is one already/,
  );
});

/** Never called: each line that an annotation marks must fail to compile. */
export function wrongUses(): void {
  workflow("types", { params: { version: { type: "string" } }, env: { APP: "web" } }, (w) => {
    const build = w.task("build", { task: { image: "builder:1" }, outputs: { digest: "${{ stdout }}" } });
    // @ts-expect-error the step declares no such output
    build.outputs.digset;
    // @ts-expect-error no such parameter
    w.params.verison;
    // @ts-expect-error no such variable
    w.env.APPS;
    // @ts-expect-error a need is a step, not its name
    w.task("a", { needs: ["build"], task: { image: "a:1" } });
    // @ts-expect-error no such condition
    w.task("b", { needs: [{ step: build, condition: "done" }], task: { image: "a:1" } });
    // @ts-expect-error no such key of a step
    w.task("c", { need: [build], task: { image: "a:1" } });
    // @ts-expect-error no such key of a task
    w.task("d", { task: { image: "a:1", cpus: 1 } });
    // @ts-expect-error a task is what this step is made of
    w.task("e", { run: "true" });
    // @ts-expect-error a step does one thing
    w.sleep("f", { sleep: "1s", task: { image: "a:1" } });
    // @ts-expect-error no such method
    w.http("g", { http: { url: "http://a", method: "FETCH" } });
    // @ts-expect-error a number has no text as its default
    w.param("h", { type: "number", default: "3" });
    const on = w.matrix({ os: ["alpine"], include: [{ slow: true }] });
    on.os, on.slow;
    // @ts-expect-error no such axis
    on.arch;
    const asked = w.approval("i", { approval: { prompt: "Go?", inputs: { ticket: { type: "string" } } } });
    // @ts-expect-error it asks for no such input
    asked.outputs.tickets;
    const ship = w.rollout("ship", { rollout: { service: "web", task: { image: "a:1" } } });
    ship.outputs.addresses;
    // @ts-expect-error a rollout has no such output
    ship.outputs.adress;
    // @ts-expect-error a service is named by `service`
    w.rollout("k", { rollout: { name: "web", task: { image: "a:1" } } });
    // @ts-expect-error no such strategy
    w.rollout("l", { rollout: { service: "web", task: { image: "a:1" }, update: { strategy: "slow" } } });
    const child = workflow("child", () => ({ address: "here" }));
    // @ts-expect-error the child has no such output
    w.workflow("j", { workflow: child }).outputs.adress;
    // @ts-expect-error what follows the end needs nothing
    w.finally({ sleep: "1s", needs: [build] });
  });
  // @ts-expect-error an output is a text
  workflow("outputs", () => ({ bytes: 3 }));
  // @ts-expect-error no such key above the steps
  workflow("keys", { shedule: { cron: "* * * * *" } }, () => {});
}
