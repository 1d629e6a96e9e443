/** The `rollout:` step: what is wrong with it before a run, how it is filled in, what it applies and gives. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import type { WorkflowDocument } from "../../../lib/core/documents/workflow.ts";
import { fillMeasured, partsOfMeasured } from "../../../lib/core/workflow/rollout_texts.ts";
import { serviceOfStep } from "../../../lib/core/workflow/service_of_step.ts";
import { checkSource } from "../../../lib/core/workflow/validate.ts";
import { WorkflowRig } from "./rig.ts";

const PARAMS = "params: { v: { default: a }, n: { type: number, default: 3 } }";
const flow = (steps: string) => `name: w\n${PARAMS}\nsteps:\n${steps.replace(/^/gm, "  ")}`;
const rollout = (keys: string, task = "image: i") => flow(`a: { rollout: { service: web, task: { ${task} }${keys} } }`);

function problemsIn(text: string): string[] {
  const checked = checkSource({ workflow: parse(text) });
  return checked.kind === "valid"
    ? []
    : checked.problems.map(({ rule, path, detail }) => `${rule} ${path.join(".")}: ${detail}`);
}

const AT = "steps.a.rollout";
const PROBLEMS: readonly (readonly [string, string, readonly string[]])[] = [
  ["no service", flow("a: { rollout: { task: { image: i } } }"), [
    `rollout ${AT}.service: service: is missing (string)`,
  ]],
  ["no task", flow("a: { rollout: { service: web } }"), [`rollout ${AT}.task: task: is missing (record)`]],
  ["a name", flow("a: { rollout: { name: web, service: web, task: { image: i } } }"), [
    `unknownKey ${AT}.name: unknown key \`name\`; write \`service\`, the name of the service`,
  ]],
  ["a service that is a slip", flow("a: { rollout: { service: web, servce: x, task: { image: i } } }"), [
    `unknownKey ${AT}.servce: unknown key \`servce\`; did you mean \`service\`?`,
  ]],
  ["a service that is no name", flow("a: { rollout: { service: a.b, task: { image: i } } }"), [
    `rollout ${AT}.service: service: a service's name has 1 to 48 letters, digits, _ or -, and begins with a letter or digit`,
  ]],
  ["a slip in update", rollout(", update: { maxparallel: 1 }"), [
    `unknownKey ${AT}.update.maxparallel: unknown key \`maxparallel\`; did you mean \`maxParallel\`?`,
  ]],
  ["a slip in the task", rollout("", "image: i, memry: 1GiB"), [
    `unknownKey ${AT}.task.memry: unknown key \`memry\`; did you mean \`memory\`?`,
  ]],
  ["waits that contradict each other", rollout(", update: { minHealthyTime: 5m }"), [
    `rollout ${AT}.update.minHealthyTime: update.minHealthyTime: must be shorter than healthyDeadline (5m)`,
  ]],
  [
    "such waits, where another key is filled in later",
    rollout(
      ', replicas: "${{ params.n }}", update: { minHealthyTime: 5m, autoRevert: "${{ params.n == 3 }}" }',
      'image: i, cpu: "${{ params.n }}"',
    ),
    [
      `rollout ${AT}.update.minHealthyTime: update.minHealthyTime: must be shorter than healthyDeadline (5m)`,
    ],
  ],
  ["a name that is not there", rollout("", 'image: "i:${{ params.x }}"'), [
    `badReference ${AT}.task.image: unknown parameter \`x\`; did you mean \`v\`?`,
  ]],
  [
    "a step that is not needed",
    flow('b: { sleep: 1s }\na: { rollout: { service: web, task: { image: "${{ steps.b.state }}" } } }'),
    [
      `notUpstream ${AT}.task.image: step a does not wait for step b; add it to \`needs\``,
    ],
  ],
  ["the replica where there is none yet", rollout("", 'image: "i:${{ slot }}"'), [
    `unknownName ${AT}.task.image: unknown name \`slot\``,
  ]],
  ["a slip in what is measured", rollout(', update: { analysis: { http: { url: "http://${{ adress }}" } } }'), [
    `unknownName ${AT}.update.analysis.http.url: unknown name \`adress\``,
  ]],
  [
    "the replica and a parameter in one expression",
    rollout(
      ', update: { analysis: { http: { url: "http://${{ address + params.v }}" } } }',
    ),
    [
      `rollout ${AT}.update.analysis.http.url: update.analysis.http.url: \`\${{ address + params.v }}\`: \`params\` is not known here; known are address, slot, revision, service`,
    ],
  ],
  [
    "what is expected in words of the workflow",
    rollout(
      ', update: { analysis: { http: { url: "http://h", expect: "body == params.v" } } }',
    ),
    [
      `rollout ${AT}.update.analysis.http.expect: update.analysis.http.expect: \`params\` is not known here; known are status, headers, body`,
    ],
  ],
  [
    "what is expected within braces",
    rollout(
      ', update: { analysis: { http: { url: "http://h", expect: "body == \'${{ params.v }}\'" } } }',
    ),
    [
      `rollout ${AT}.update.analysis.http.expect: update.analysis.http.expect: write the expression without \`\${{ }}\``,
    ],
  ],
  [
    "an output that a rollout has not",
    flow(
      'a: { rollout: { service: web, task: { image: i } } }\nb: { needs: [a], sleep: "${{ steps.a.outputs.adress }}" }',
    ),
    ["badReference steps.b.sleep: step a has no output `adress`; did you mean `address`?"],
  ],
  [
    "the address of a rollout that has only begun",
    flow(
      "a: { rollout: { service: web, task: { image: i } } }\n" +
        'b: { needs: [{ step: a, condition: started }], sleep: "${{ steps.a.outputs.address }}" }',
    ),
    [
      "mayBeMissing steps.b.sleep: step a may still run, and gives its outputs at its end: write `steps.a.outputs.?address.orValue(...)`",
    ],
  ],
];
for (const [name, text, problems] of PROBLEMS) {
  Deno.test(`checkSource() finds in a rollout: ${name}`, () => assert.deepEqual(problemsIn(text), problems));
}

const PASSES: readonly (readonly [string, string])[] = [
  [
    "texts wherever values stand",
    rollout(
      ', replicas: "${{ params.n }}", spread: "${{ params.v }}", ports: "${{ fromJSON(params.v) }}", ' +
        'update: { strategy: "${{ params.v }}", maxParallel: "${{ params.n }}%", monitor: "${{ params.v }}" }',
      'image: "${{ params.v }}", cpu: "${{ params.n }}", env: { A: "${{ run.id }}" }',
    ),
  ],
  [
    "a service that is named by a parameter",
    flow('a: { rollout: { service: "web-${{ params.v }}", task: { image: i } } }'),
  ],
  [
    "a whole task",
    flow('a: { rollout: { service: web, task: "${{ fromJSON(params.v) }}" } }').replace(
      '"${{ fromJSON(params.v) }}"',
      '{ image: i, health: "${{ fromJSON(params.v) }}" }',
    ),
  ],
  [
    "the replica beside a parameter",
    rollout(
      ', update: { analysis: { http: { url: "http://${{ address }}/${{ params.v }}", headers: { A: "${{ slot }}-${{ run.id }}" }, ' +
        'body: "${{ params.v }}", expect: "status == 200" } } }',
    ),
  ],
  [
    "outputs of a rollout",
    flow(
      "a: { rollout: { service: web, task: { image: i } }, outputs: { own: x } }\n" +
        'b: { needs: [a], sleep: "${{ steps.a.outputs.revision }}${{ steps.a.outputs.addresses[0] }}${{ steps.a.outputs.own }}" }',
    ),
  ],
];
for (const [name, text] of PASSES) {
  Deno.test(`checkSource() lets a rollout have ${name}`, () => assert.deepEqual(problemsIn(text), []));
}

Deno.test("serviceOfStep() says in words of the step what is wrong", () => {
  const detailOf = (filled: Record<string, unknown>) => {
    const made = serviceOfStep(filled);
    return made.kind === "problem" ? made.detail : made.spec.name;
  };
  const task = { image: "i" };
  assert.equal(detailOf({ service: "web", task }), "web");
  assert.match(detailOf({ service: "a/b", task }), /^rollout\.service: a service's name has/);
  assert.match(detailOf({ name: "web", task }), /^rollout\.name: write `service`/);
  assert.equal(detailOf({ service: "web", task, replicas: "3" }), "rollout.replicas: must be a number");
  assert.match(detailOf({ service: "web", task: { image: "" } }), /^rollout\.task\.image: not an image reference/);
});

Deno.test("fillMeasured() leaves what names the replica, and keeps what looks like an expression a text", () => {
  const values: Record<string, string> = { "params.a": "x", "params.b": "${{ slot }}" };
  const fill = (text: string) => fillMeasured(text, (source) => values[source]);
  assert.equal(
    fill("http://${{ address }}/${{ params.a }}?s=${{ slot + 1 }}"),
    "http://${{ address }}/x?s=${{ slot + 1 }}",
  );
  assert.equal(fill("plain"), "plain");
  const guarded = fill("<${{ params.b }}>") as string;
  assert.equal(guarded, '<${{ "${{ slot }}" }}>');
  assert.deepEqual(partsOfMeasured(guarded)!.map(({ later }) => later), [false, false, false]);
});

/** Every replica that has a node is up, and healthy for as long as is asked. */
function settle(rig: WorkflowRig): void {
  for (const { id, replica, currentAttemptId, state } of [...rig.state.sails.values()]) {
    if (!replica || currentAttemptId === null || state === "running") continue;
    const ports = [{ container: 80, protocol: "tcp" as const, hostIp: "0.0.0.0", host: 40_000 + replica.slot }];
    rig.runs(id, { settled: true, startedMs: rig.wallMs, ports });
  }
}

function run(document: string, params: Record<string, string> = {}): WorkflowRig {
  const rig = new WorkflowRig();
  const { name: _name, ...rest } = parse(document) as WorkflowDocument;
  rig.start(rest, { params });
  return rig;
}

Deno.test("a rollout step applies what it says once it is filled in, and gives where the service answers", () => {
  const rig = run(flow(
    'a: { rollout: { service: web, replicas: "${{ params.n }}", ports: [80], task: { image: "i:${{ params.v }}" }, ' +
      'update: { shutdownDelay: 0s, analysis: { count: 1, http: { url: "http://${{ address }}/${{ params.v }}" } } } } }\n' +
      'b: { needs: [{ step: a, condition: healthy }], sleep: 1s, outputs: { at: "${{ steps.a.outputs.address }}" } }',
  ));
  const service = rig.state.services.get("web")!;
  assert.equal(rig.states().a, "running");
  assert.equal(service.replicas, 3);
  assert.equal(rig.taskSpec("web@1").image, "i:a");
  assert.equal(service.update.analysis?.http.url, "http://${{ address }}/a");
  for (let second = 0; second < 10; second++) {
    settle(rig);
    rig.wait(1_000);
  }
  const [request] = [...rig.state.sails.values()].filter(({ measures }) => measures !== undefined);
  assert.match(rig.taskSpec(request.specId).http!.url, /^http:\/\/[^/]+:4000\d\/a$/);
  rig.ends(request.id, { answer: { status: 200, headers: {} } });
  rig.wait(15_000);
  assert.equal(rig.states().a, "succeeded", rig.step("a")?.error ?? "");
  const { revision, addresses, address } = rig.outputs("a");
  assert.equal(revision, 1);
  assert.deepEqual((addresses as string[]).map((each) => each.split(":")[1]), ["40000", "40001", "40002"]);
  assert.equal(address, (addresses as string[])[0]);
  assert.equal(rig.outputs("b").at, address);
});

Deno.test("a rollout step that is no service once it is filled in fails with the key", () => {
  const rig = run(flow('a: { rollout: { service: "${{ params.v }}", task: { image: i } } }'), { v: "not a name" });
  assert.equal(rig.states().a, "failed");
  assert.match(rig.step("a")!.error!, /^rollout\.service: a service's name has/);
});

const QUICK = "minHealthyTime: 1s, healthyDeadline: 5s, progressDeadline: 9s, shutdownDelay: 0s, monitor: 0s";
const VERSION = (update = QUICK, more = "") =>
  flow(`a: { rollout: { service: web, task: { image: "i:\${{ params.v }}" }, update: { ${update} } }${more} }`);

/** Revision 1 of `web` is rolled out and stable. */
function rolledOut(): WorkflowRig {
  const rig = run(VERSION());
  settle(rig);
  rig.wait(3_000);
  assert.equal(rig.states().a, "succeeded", rig.step("a")?.error ?? "");
  return rig;
}

function again(rig: WorkflowRig, id: string, more?: string): void {
  const { name: _name, ...rest } = parse(VERSION(QUICK, more)) as WorkflowDocument;
  rig.start(rest, { id, params: { v: "b" } });
}

const ends = (rig: WorkflowRig) =>
  [...rig.state.rollouts.values()].sort((a, b) => a.number - b.number).map(({ cause, to, state }) =>
    `${cause} ${to} ${state}`
  );

Deno.test("a rollout that fails, fails its step, and the service goes back by itself", () => {
  const rig = rolledOut();
  again(rig, "s");
  rig.wait(12_000);
  assert.equal(rig.states("s").a, "failed");
  assert.match(
    rig.step("a", "s")!.error!,
    /^rollout web#2 to revision 2 failed: slot 0 of revision 2 was not healthy within 5s/,
  );
  assert.deepEqual(ends(rig).slice(0, 2), ["apply 1 succeeded", "apply 2 failed"]);
  assert.match(ends(rig)[2], /^revert 1 /);
});

Deno.test("a run that is cancelled aborts the rollout that it waits for, which goes back", () => {
  const rig = rolledOut();
  again(rig, "s");
  rig.input({ kind: "cancelRun", runId: "s", why: "somebody asked" });
  rig.wait(2_000);
  assert.equal(rig.states("s").a, "cancelled");
  assert.equal(ends(rig)[1], "apply 2 aborted");
  assert.match(ends(rig)[2], /^revert 1 /);
});

Deno.test("a rollout step whose time is over aborts its rollout", () => {
  const rig = rolledOut();
  again(rig, "s", ", timeout: 2s");
  rig.wait(4_000);
  assert.equal(rig.step("a", "s")!.outcome, "timedOut");
  assert.equal(ends(rig)[1], "apply 2 aborted");
});

Deno.test("a rollout that two runs wait for goes on when one of them is cancelled", () => {
  const rig = rolledOut();
  again(rig, "s");
  again(rig, "t");
  rig.input({ kind: "cancelRun", runId: "s", why: "somebody asked" });
  settle(rig);
  rig.wait(3_000);
  assert.equal(rig.states("t").a, "succeeded", rig.step("a", "t")?.error ?? "");
  assert.deepEqual(ends(rig), ["apply 1 succeeded", "apply 2 succeeded"]);
});

Deno.test("a service that is as a rollout step says already is not touched", () => {
  const rig = rolledOut();
  const { name: _name, ...rest } = parse(VERSION()) as WorkflowDocument;
  rig.start(rest, { id: "s" });
  assert.equal(rig.states("s").a, "succeeded");
  assert.equal(rig.outputs("a", "s").revision, 1);
  assert.deepEqual(ends(rig), ["apply 1 succeeded"]);
});
