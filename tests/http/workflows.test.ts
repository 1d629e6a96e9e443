/** /v1/workflows and /v1/runs over a deck out of a script: what reaches the deck, and how its replies are told. */
import assert from "node:assert/strict";
import { RUN_ID, runView, SOURCE, stepView, workflowDetail } from "./records.ts";
import { deckRig, postJson } from "./support.ts";

const putJson = (value: unknown) => ({ ...postJson(value), method: "PUT" });

Deno.test("workflows: list, one, source of a version, remove, pause", async () => {
  const rig = deckRig();
  const { workflows } = await (await rig.fetch("/v1/workflows")).json();
  assert.deepEqual(workflows.map((each: { name: string }) => each.name), ["deploy"]);
  assert.equal((await (await rig.fetch("/v1/workflows/deploy")).json()).versions.length, 1);
  assert.deepEqual(await (await rig.fetch("/v1/workflows/deploy/source?version=1")).json(), SOURCE);
  const gone = await rig.fetch("/v1/workflows/deploy/source?version=7");
  assert.deepEqual([gone.status, (await gone.json()).detail], [404, "workflow deploy has no version 7"]);
  assert.equal((await rig.fetch("/v1/workflows/deploy/source?version=0")).status, 400);
  for (const verb of ["pause", "unpause"]) {
    assert.equal((await rig.fetch(`/v1/workflows/deploy/${verb}`, { method: "POST" })).status, 200);
  }
  assert.deepEqual(rig.deck.callsOf("pauseWorkflow"), [["deploy", true], ["deploy", false]]);
  assert.equal((await rig.fetch("/v1/workflows/deploy", { method: "DELETE" })).status, 204);
  assert.deepEqual(rig.deck.callsOf("removeWorkflow"), [["deploy"]]);
});

Deno.test("workflows: an unknown name is answered with the one that was meant", async () => {
  const rig = deckRig();
  for (const [path, method] of [["", "GET"], ["", "DELETE"], ["/source", "GET"], ["/pause", "POST"]]) {
    const response = await rig.fetch(`/v1/workflows/deplyo${path}`, { method });
    assert.equal(response.status, 404);
    assert.equal((await response.json()).detail, 'there is no workflow "deplyo"; did you mean "deploy"?');
  }
  const far = await (await rig.fetch("/v1/workflows/xyz")).json();
  assert.equal(far.detail, 'there is no workflow "xyz"');
  const run = await rig.fetch("/v1/runs", postJson({ workflow: "deplyo" }));
  assert.equal(run.status, 201, "a deck that knows it is believed");
  rig.deck.overrides = { startRun: () => Promise.resolve({ kind: "notFound", message: "none" }) };
  const refused = await rig.fetch("/v1/runs", postJson({ workflow: "deplyo" }));
  assert.deepEqual([refused.status, (await refused.json()).detail], [
    404,
    'there is no workflow "deplyo"; did you mean "deploy"?',
  ]);
});

Deno.test("PUT /v1/workflows/{name}: 201 for a new one, 200 for a new version, the name must agree", async () => {
  const rig = deckRig();
  const fresh = await rig.fetch("/v1/workflows/nightly", putJson({ workflow: { name: "nightly", steps: {} } }));
  assert.deepEqual([fresh.status, (await fresh.json()).change], [201, "created"]);
  const next = await rig.fetch("/v1/workflows/deploy", putJson(SOURCE));
  assert.deepEqual([next.status, (await next.json()).change], [200, "updated"]);
  const other = await rig.fetch("/v1/workflows/other", putJson(SOURCE));
  assert.equal(other.status, 422);
  assert.deepEqual((await other.json()).errors, [
    { pointer: "/workflow/name", detail: 'must be "other", as in the address' },
  ]);
  assert.equal(rig.deck.callsOf("applyWorkflow").length, 2);
});

Deno.test("problems of a source are told with pointers into the request's body", async () => {
  const rig = deckRig();
  const problem = { included: null, offset: null, rule: "unknownKey", detail: "unknown key `need`" } as const;
  rig.deck.overrides = {
    applyWorkflow: () =>
      Promise.resolve({
        kind: "invalid",
        problems: [
          { ...problem, path: ["steps", "build", "need"] },
          { ...problem, included: "sub/warm.yaml", path: ["steps"] },
        ],
      }),
    startRun: () =>
      Promise.resolve({ kind: "invalid", problems: [{ ...problem, rule: "given", path: ["params", "version"] }] }),
  };
  const apply = await rig.fetch("/v1/workflows/deploy", putJson(SOURCE));
  assert.equal(apply.status, 422);
  assert.deepEqual((await apply.json()).errors.map((each: { pointer: string }) => each.pointer), [
    "/workflow/steps/build/need",
    "/included/sub~1warm.yaml/steps",
  ]);
  const run = await rig.fetch("/v1/runs", postJson({ workflow: "deploy" }));
  assert.equal(run.status, 422);
  assert.equal((await run.json()).errors[0].pointer, "/params/version");
});

Deno.test("POST /v1/runs hands on document or name, params, step and key, and says where the run is", async () => {
  const rig = deckRig();
  const byName = await rig.fetch(
    "/v1/runs",
    postJson({ workflow: "deploy", version: 3, params: { a: 1, b: "x", c: true }, only: "build" }, {
      "idempotency-key": "k1",
    }),
  );
  assert.equal(byName.status, 201);
  assert.equal(byName.headers.get("location"), `/v1/runs/${RUN_ID}`);
  assert.equal((await byName.json()).id, RUN_ID);
  const included = { "warm.yaml": { name: "warm" } };
  await rig.fetch("/v1/runs", postJson({ ...SOURCE, included }));
  assert.deepEqual(rig.deck.callsOf("startRun"), [
    [{ source: { name: "deploy", version: 3 }, params: { a: 1, b: "x", c: true }, only: "build", key: "k1" }],
    [{ source: { ...SOURCE, included }, params: {}, only: null, key: null }],
  ]);
});

const REFUSED: readonly (readonly [what: string, body: unknown, pointer: string])[] = [
  ["no workflow", {}, "/workflow"],
  ["a list", { workflow: [] }, "/workflow"],
  ["a version of a document", { ...SOURCE, version: 2 }, "/version"],
  ["included documents of a name", { workflow: "deploy", included: {} }, "/included"],
  ["an unknown key", { workflow: "deploy", parms: {} }, "/parms"],
  ["a param that is a list", { workflow: "deploy", params: { a: [] } }, "/params/a"],
];
for (const [what, body, pointer] of REFUSED) {
  Deno.test(`POST /v1/runs refuses ${what}`, async () => {
    const rig = deckRig();
    const response = await rig.fetch("/v1/runs", postJson(body));
    assert.equal(response.status, 422);
    assert.equal((await response.json()).errors[0].pointer, pointer);
    assert.deepEqual(rig.deck.callsOf("startRun"), []);
  });
}

Deno.test("bodies beyond 1 MiB get 413, other types 415, and a key must be one", async () => {
  const rig = deckRig();
  const large = { workflow: { name: "deploy", steps: { a: { run: "x".repeat(2 ** 20) } } } };
  assert.equal((await rig.fetch("/v1/runs", postJson(large))).status, 413);
  assert.equal((await rig.fetch("/v1/workflows/deploy", putJson(large))).status, 413);
  const yaml = { method: "POST", body: "workflow: deploy", headers: { "content-type": "application/yaml" } };
  assert.equal((await rig.fetch("/v1/runs", yaml)).status, 415);
  assert.equal((await rig.fetch("/v1/runs", { method: "POST" })).status, 415);
  assert.equal((await rig.fetch("/v1/runs", postJson(SOURCE, { "idempotency-key": "a b" }))).status, 400);
  assert.deepEqual(rig.deck.callsOf("startRun"), []);
});

Deno.test("GET /v1/runs filters and pages", async () => {
  const rig = deckRig();
  const list = await (await rig.fetch("/v1/runs?workflow=deploy&state=running&state=waiting&limit=5")).json();
  assert.deepEqual([list.runs[0].id, list.next], [RUN_ID, "more"]);
  assert.deepEqual(rig.deck.callsOf("listRuns"), [[{ workflow: "deploy", states: ["running", "waiting"] }, 5, null]]);
  for (const query of ["cursor=bad", "state=pending", "limit=0", "what=x"]) {
    assert.equal((await rig.fetch(`/v1/runs?${query}`)).status, 400, query);
  }
});

Deno.test("a run by id and by its workflow's name, its source; an unknown one is answered with what was meant", async () => {
  const rig = deckRig();
  assert.equal((await (await rig.fetch(`/v1/runs/${RUN_ID}`)).json()).steps.ship.why, "waits for build");
  assert.equal((await (await rig.fetch("/v1/runs/deploy")).json()).id, RUN_ID);
  assert.deepEqual(await (await rig.fetch(`/v1/runs/${RUN_ID}/source`)).json(), SOURCE);
  const detail = async (reference: string) => (await (await rig.fetch(`/v1/runs/${reference}`)).json()).detail;
  assert.equal(await detail("depoly"), 'there is no run "depoly"; did you mean "deploy"?');
  assert.equal(await detail("deploy-7f3b"), 'there is no run "deploy-7f3b"; did you mean "deploy-7f3a"?');
  rig.deck.workflows.set("fresh", workflowDetail({ name: "fresh" }));
  assert.equal(await detail("fresh"), "workflow fresh has not run yet");
  rig.deck.overrides = { findRun: () => ({ kind: "ambiguous", candidates: ["deploy-1", "deploy-2"] }) };
  const ambiguous = await rig.fetch("/v1/runs/dep");
  assert.deepEqual([ambiguous.status, (await ambiguous.json()).detail], [
    409,
    '"dep" fits several runs: deploy-1, deploy-2',
  ]);
});

Deno.test("cancel, resume and rerun", async () => {
  const rig = deckRig();
  assert.equal((await rig.fetch(`/v1/runs/${RUN_ID}/cancel`, { method: "POST" })).status, 200);
  const resumed = await rig.fetch("/v1/runs/deploy/resume", postJson({ from: "ship", params: { n: 2 } }));
  assert.deepEqual([resumed.status, resumed.headers.get("location")], [201, "/v1/runs/deploy-2"]);
  assert.deepEqual((await resumed.json()).kept, ["build"]);
  assert.equal((await rig.fetch(`/v1/runs/${RUN_ID}/resume`, { method: "POST" })).status, 201);
  assert.equal((await (await rig.fetch(`/v1/runs/${RUN_ID}/rerun`, { method: "POST" })).json()).id, "deploy-3");
  assert.equal((await rig.fetch(`/v1/runs/${RUN_ID}/cancel`, postJson({ now: true }))).status, 200);
  assert.deepEqual(rig.deck.callsOf("cancelRun"), [[RUN_ID, false], [RUN_ID, true]]);
  assert.deepEqual(rig.deck.callsOf("rerun"), [[RUN_ID]]);
  assert.deepEqual(rig.deck.callsOf("resumeRun"), [
    [{ runId: RUN_ID, from: "ship", params: { n: 2 } }],
    [{ runId: RUN_ID, from: null, params: {} }],
  ]);
  for (const [kind, status] of [["conflict", 409], ["notFound", 404], ["unavailable", 503]] as const) {
    const refuse = () => Promise.resolve({ kind, message: "it runs" });
    rig.deck.overrides = { cancelRun: refuse, resumeRun: refuse, rerun: refuse };
    for (const verb of ["cancel", "resume", "rerun"]) {
      const response = await rig.fetch(`/v1/runs/${RUN_ID}/${verb}`, { method: "POST" });
      assert.deepEqual([response.status, (await response.json()).detail], [status, "it runs"], verb);
    }
  }
});

Deno.test("approve and reject", async () => {
  const rig = deckRig();
  rig.deck.runs.set(RUN_ID, runView({ steps: { approve: stepView({ state: "waiting", kind: "approval" }) } }));
  const at = (step: string, verb: string) => `/v1/runs/${RUN_ID}/steps/${step}/${verb}`;
  assert.equal((await rig.fetch(at("approve", "approve"), postJson({ inputs: { ticket: "T-1" } }))).status, 200);
  assert.equal((await rig.fetch(at("approve", "reject"), postJson({ reason: "no", instance: 1 }))).status, 200);
  assert.equal((await rig.fetch(at("approve", "approve"), { method: "POST" })).status, 200);
  const asked = { runId: RUN_ID, step: "approve", instance: null, approved: true, inputs: {}, reason: null };
  assert.deepEqual(rig.deck.callsOf("decideApproval"), [
    [{ ...asked, inputs: { ticket: "T-1" } }],
    [{ ...asked, instance: 1, approved: false, reason: "no" }],
    [asked],
  ]);
  rig.deck.overrides = { decideApproval: () => Promise.resolve({ kind: "notFound", message: "no step" }) };
  assert.equal(
    (await (await rig.fetch(at("aprove", "approve"), { method: "POST" })).json()).detail,
    'run deploy-7f3a has no step "aprove"; did you mean "approve"?',
  );
  const problem = { included: null, path: ["inputs", "ticket"], offset: null, rule: "given", detail: "is required" };
  rig.deck.overrides = { decideApproval: () => Promise.resolve({ kind: "invalid", problems: [problem] }) };
  const invalid = await rig.fetch(at("approve", "approve"), { method: "POST" });
  assert.deepEqual([invalid.status, (await invalid.json()).errors[0].pointer], [422, "/inputs/ticket"]);
});
