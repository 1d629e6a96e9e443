/** The commands of services and rollouts against a deck out of a script: what they ask, print and exit with. */
import assert from "node:assert/strict";
import type { ReplicaView, RolloutView, ServiceDetailView } from "../../lib/messages/service_api.ts";
import { changeOf } from "../../lib/cli/proxy.ts";
import { eventStream, ndjson, problem, routes, scriptedDeck } from "../client/scripted_deck.ts";
import type { ScriptedDeck } from "../client/scripted_deck.ts";
import { at, attempt, detail, ormen } from "./support.ts";
import type { IoSetup } from "./support.ts";

const FILE = "name: web\nreplicas: 2\ntask:\n  image: web:2\n  prots: [80]\nupdate:\n  minHealthyTime: 10m\n";

const replica = (slot: number, changes: Partial<ReplicaView> = {}): ReplicaView => ({
  taskId: `web.${slot}.r2.${slot}`,
  name: `web.${slot}@2`,
  slot,
  revision: 2,
  rollout: 2,
  state: "healthy",
  why: null,
  node: "host-a",
  address: `10.0.0.1:3200${slot}`,
  restarts: 0,
  createdAt: at(5),
  ...changes,
});

const rollout = (changes: Partial<RolloutView> = {}): RolloutView => ({
  id: "web#2",
  service: "web",
  number: 2,
  from: 1,
  to: 2,
  cause: "apply",
  reverts: null,
  state: "running",
  stage: "replacing",
  strategy: "rolling",
  why: null,
  failedTask: null,
  revertedBy: null,
  analysis: null,
  updated: 0,
  desired: 2,
  createdAt: at(12),
  endedAt: null,
  deadlineAt: null,
  ...changes,
});

const service = (changes: Partial<ServiceDetailView> = {}): ServiceDetailView => ({
  name: "web",
  mode: "replicated",
  image: "web:2",
  revision: 2,
  state: "rolling",
  replicas: { desired: 2, running: 2, healthy: 2 },
  rollout: rollout(),
  createdAt: at(100),
  updatedAt: at(12),
  document: { name: "web", update: { maxParallel: 1, order: "start-first" } },
  notes: [],
  why: null,
  revisions: [],
  slots: [replica(0), replica(1)],
  ...changes,
});

const SUCCEEDED = { state: "succeeded", why: "2 of 2 healthy", endedAt: at(0), updated: 2 } as const;
const healthy = service({ state: "healthy", rollout: rollout(SUCCEEDED) });

/** What the deck shows of the service one after the other; the last one stays. */
function showing(views: readonly ServiceDetailView[], more: Parameters<typeof routes>[0] = {}): ScriptedDeck {
  let looks = 0;
  const table = routes({
    "POST /v1/services": () => Response.json({ change: "updated", rollout: 2, service: views[0] }, { status: 200 }),
    "GET /v1/events": () => eventStream({ id: 1, kind: "replicaHealthy", service: "web" }),
    ...more,
  });
  return scriptedDeck((asked, request) => {
    const isLook = asked.method === "GET" && asked.path === "/v1/services/web";
    return isLook ? Response.json(views[Math.min(looks++, views.length - 1)]) : table(asked, request);
  });
}

const run = (deck: ScriptedDeck, command: string, setup: IoSetup = {}) => {
  const [group, verb, ...rest] = command.split(" ");
  return ormen([group, verb, "-m", deck.address, ...rest], setup);
};

Deno.test("service apply follows its rollout, a line a change, and exits with 0 once all is healthy", async () => {
  const rolling = service({
    slots: [replica(0, { state: "running" }), replica(1, { name: "web.1@1", revision: 1, taskId: "old" })],
  });
  await using deck = showing([rolling, rolling, healthy]);
  const { code, out, err } = await run(deck, "service apply -f -", { stdin: "name: web\n" });
  assert.equal(err, "");
  assert.equal(code, 0);
  assert.match(out, /^web {2}revision 1 -> 2 {3}rolling, 1 at a time, start-first\n/);
  assert.match(out, / {2}slot 0 {2}not healthy yet, after 5\.0 s\n {2}slot 1 {2}@1 healthy\n/);
  assert.match(out, / {2}slot 0 {2}healthy\n/);
  assert.match(out, /succeeded in 12 s {3}2 of 2 healthy\n$/);
  assert.deepEqual(JSON.parse(deck.asked[0].body), { name: "web" });
});

Deno.test("service apply shows what made a replica fail, the way back, and exits with 1", async () => {
  const failed = rollout({
    ...{ state: "failed", why: "slot 0 of revision 2 was not healthy within 5m", endedAt: at(2) },
    failedTask: "web.0.r2.0",
    revertedBy: 3,
  });
  const back = rollout({
    ...{ ...SUCCEEDED, id: "web#3", number: 3, to: 1, from: 2, cause: "revert", reverts: 2 },
  } as Partial<RolloutView>);
  const reverted = service({ state: "healthy", revision: 1, rollout: back, slots: [] });
  await using deck = showing([service(), reverted], {
    "GET /v1/services/web/rollouts/2": () => Response.json(failed),
    "GET /v1/tasks/web.0.r2.0": () => Response.json(detail({ history: [attempt({ healthOutput: "GET /up -> 404" })] })),
    "GET /v1/tasks/web.0.r2.0/logs": () => ndjson({ stream: "stderr", text: "no such file\n" }),
  });
  const { code, out } = await run(deck, "service apply -f -", { stdin: "name: web\n" });
  assert.equal(code, 1);
  assert.match(out, /reverting to revision 1 \(stable\) \.\.\.\n/);
  assert.match(out, /failed: slot 0 of revision 2 was not healthy within 5m\n/);
  assert.match(out, / {2}last check {3}GET \/up -> 404\n {2}last output\n {2}\| no such file\n/);
  assert.match(out, /reverted to revision 1 \(stable\): done, 2 of 2 healthy\n/);
  assert.match(out, /next {3}ormen service history web -m/);
});

Deno.test("a service that is held ends the wait with its reason", async () => {
  const held = service({
    state: "paused",
    why: "rollout 2 failed (no room); there is no stable revision to go back to",
    rollout: rollout({ state: "failed", why: "no room", endedAt: at(1) }),
  });
  await using deck = showing([service(), held]);
  const { code, out } = await run(deck, "service apply -f -", { stdin: "name: web\n" });
  assert.equal(code, 1);
  assert.match(out, /kept as it is: rollout 2 failed \(no room\); there is no stable revision to go back to\n/);
  assert.match(out, /next {3}ormen rollout resume web/);
});

Deno.test("a canary says how to promote it, and the wait goes on", async () => {
  const waiting = service({ state: "waiting", rollout: rollout({ state: "waiting", stage: "promotion" }) });
  await using deck = showing([waiting, waiting, healthy]);
  const { code, out } = await run(deck, "service apply -f -", { stdin: "name: web\n" });
  assert.equal(code, 0);
  assert.match(out, / {2}waits to be promoted {3}ormen rollout promote web -m/);
});

Deno.test("what a document gets wrong is told with its lines", async () => {
  await using deck = showing([service()], {
    "POST /v1/services": () =>
      problem(422, "invalid", "", [
        { pointer: "/task/prots", detail: "unknown key `prots`; did you mean `ports`?" },
        { pointer: "/update/minHealthyTime", detail: "must be shorter than healthyDeadline (5m)" },
      ]),
  });
  const { code, err } = await run(deck, "service apply -f -", { stdin: FILE });
  assert.equal(code, 1);
  assert.match(err, /stdin:5:3 {2}unknown key `prots`; did you mean `ports`\?/);
  assert.match(err, /stdin:7:3 {2}update\.minHealthyTime: must be shorter/);
});

Deno.test("plan exits with 3 where something would change, and with 0 where nothing would", async () => {
  const plan = {
    service: "web",
    change: "updated",
    from: 1,
    to: 2,
    replicas: { from: 2, to: 2 },
    differences: [{ key: "task.image", from: "web:1", to: "web:2" }, { key: "task.env", to: { A: "1" } }],
    notes: ["it has no health check"],
  };
  await using deck = showing([], { "POST /v1/services/plan": () => Response.json(plan) });
  const { code, out } = await run(deck, "service plan -f -", { stdin: "name: web\n" });
  assert.equal(code, 3);
  assert.equal(
    out,
    "web  would roll from revision 1 to 2\n  task.image  web:1 -> web:2\n" +
      '  task.env  (none) -> {"A":"1"}\nnote   it has no health check\n',
  );
  await using same = showing([], {
    "POST /v1/services/plan": () => Response.json({ ...plan, change: "unchanged", differences: [], notes: [] }),
  });
  assert.deepEqual(await run(same, "service plan -f -", { stdin: "name: web\n" }), {
    code: 0,
    out: "web  is as the document says\n",
    err: "",
  });
});

Deno.test("scale, rollback, restart and rm ask what they say, and refuse what is no number", async () => {
  const applied = { change: "scaled", rollout: null, service: healthy };
  const answer = () => Response.json(applied);
  await using deck = showing([healthy], {
    "POST /v1/services/web/scale": answer,
    "POST /v1/services/web/rollback": answer,
    "POST /v1/services/web/restart": answer,
    "DELETE /v1/services/web": () => new Response(null, { status: 202 }),
  });
  const { code, out } = await run(deck, "service scale web 2");
  assert.equal(code, 0);
  assert.match(out, /^web {2}scaled to 2\n(.*\n)*healthy {3}2 of 2 healthy\n$/);
  await run(deck, "service rollback web --to 3 --detach");
  await run(deck, "service restart web --detach");
  assert.match((await run(deck, "service rm web")).out, /^web {2}removing\n/);
  const asked = deck.asked.filter(({ method }) => method !== "GET").map(({ method, path, body }) =>
    `${method} ${path} ${body}`
  );
  assert.deepEqual(asked, [
    'POST /v1/services/web/scale {"replicas":2}',
    'POST /v1/services/web/rollback {"to":3}',
    "POST /v1/services/web/restart {}",
    "DELETE /v1/services/web ",
  ]);
  assert.equal((await run(deck, "service scale web many")).code, 2);
  assert.equal((await run(deck, "service rollback web --to first")).code, 2);
  assert.equal((await run(deck, "service apply")).code, 2);
});

Deno.test("status shows the service, its revisions, its rollout and each replica", async () => {
  await using deck = showing([service({
    ...{ state: "degraded", replicas: { desired: 2, running: 2, healthy: 1 } },
    rollout: rollout(SUCCEEDED),
    notes: ["order is stop-first"],
    revisions: [{
      ...{ revision: 2, stable: true, current: true, cause: "apply", image: "web:2", createdAt: at(9) },
      ...{ running: 2, healthy: 1 },
    }],
    slots: [replica(0), replica(1, { state: "unhealthy", why: "GET /up -> 500", address: null, restarts: 3 })],
  })]);
  const { code, out } = await run(deck, "service status web");
  assert.equal(code, 0);
  assert.match(out, /^web {3}degraded {3}1\/2 \(2 running\) healthy {3}replicated\n/);
  assert.match(out, /revision {2}2 \(current, stable\) {3}2 running, 1 healthy {3}web:2\n/);
  assert.match(out, /rollout {3}2 \(apply 1 -> 2, rolling\) {3}succeeded: 2 of 2 healthy/);
  assert.match(out, /note {6}order is stop-first\n/);
  assert.match(out, /0 +web\.0@2 +healthy +host-a +10\.0\.0\.1:32000/);
  assert.match(out, /1 +web\.1@2 +unhealthy +host-a +- +.* 3 +GET \/up -> 500/);
});

Deno.test("rollout status tells how it went by its exit code, and verbs answer with what follows", async () => {
  await using deck = showing([service({ rollout: rollout({ state: "failed", why: "no room", endedAt: at(1) }) })], {
    "POST /v1/services/web/rollouts/latest/promote": () => Response.json(rollout()),
    "GET /v1/rollouts": () => Response.json({ rollouts: [rollout(SUCCEEDED)] }),
  });
  const failed = await run(deck, "rollout status web");
  assert.equal(failed.code, 1);
  assert.match(failed.out, /state {5}failed: no room\n/);
  assert.match((await run(deck, "rollout promote web")).out, /^web {2}rollout 2 to revision 2 {3}0 of 2 replaced\n/);
  assert.match((await run(deck, "rollout ls")).out, /web +2 +apply +1 -> 2 +succeeded/);
});

Deno.test("SIGTERM leaves the rollout to the deck", async () => {
  await using deck = showing([service()]);
  const signals: Map<string, () => void>[] = [];
  const { fakeIo } = await import("./support.ts");
  const { main } = await import("../../lib/cli/main.ts");
  const io = fakeIo({
    stdin: "name: web\n",
    onOut: (all) => {
      if (all.includes("slot 1") && signals.length === 0) {
        signals.push(io.signals);
        io.signals.get("SIGTERM")!();
      }
    },
  });
  assert.equal(await main(["service", "apply", "-m", deck.address, "-f", "-"], io), 130);
  assert.match(io.output.out, /web goes on {3}ormen rollout status web --watch/);
});

Deno.test("what changes in a list of addresses", () => {
  assert.equal(changeOf(["a:1", "b:2"], ["b:2", "c:3"]), "+c:3 -a:1");
  assert.equal(changeOf(["a:1"], ["a:1"]), "");
});
