/** Services on real containers: what is replaced when, what goes back, and what whoever calls them notices of it. */
import assert from "node:assert/strict";
import type { RolloutView, ServiceDetailView } from "../../lib/messages/service_api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { BUSYBOX_IMAGE as image } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

/** Says its revision, and is healthy once it has begun. */
const SERVE = [
  "mkdir -p /tmp/w; echo ok > /tmp/w/health; echo revision $ORMEN_REVISION > /tmp/w/index.html",
  "trap 'kill $server; exit 0' TERM; httpd -f -p 80 -h /tmp/w & server=$!; wait $server",
];
const GOOD = SERVE.join("\n");
/** It serves, and its health is never there. */
const SICK = ["echo this one is sick", ...SERVE].join("\n").replace("echo ok > /tmp/w/health", "true");
/** Healthy for a while, then gone. */
const DYING = ["(sleep 3; kill 1) &", ...SERVE].join("\n").replace("exit 0' TERM", "exit 7' TERM");

const UPDATE = {
  minHealthyTime: "500ms",
  healthyDeadline: "4s",
  progressDeadline: "20s",
  shutdownDelay: "500ms",
  monitor: "500ms",
};

const service = (script: string, more: Record<string, unknown> = {}, task: Record<string, unknown> = {}) => ({
  name: "web",
  replicas: 3,
  ...more,
  task: {
    image,
    cmd: ["sh", "-c", script],
    ports: [80],
    grace: "2s",
    cpu: 0.05,
    memory: "16MiB",
    health: { http: "/health", interval: "200ms", timeout: "1s", retries: 2 },
    ...task,
  },
  update: { ...UPDATE, ...more.update as object },
});

const apply = (fleet: Fleet, document: unknown, ...flags: string[]) =>
  fleet.runWithInput(JSON.stringify(document), "service", "apply", "-f", "-", ...flags);

async function applied(fleet: Fleet, document: unknown): Promise<string> {
  const { code, stdout, stderr } = await apply(fleet, document);
  assert.equal(code, 0, `${stderr}${stdout}\n${await fleet.ok("service", "status", "web")}`);
  return stdout;
}

const statusOf = (fleet: Fleet, name = "web") => fleet.json<ServiceDetailView>("service", "status", name);
const rollout = async (fleet: Fleet, number: number) =>
  (await fleet.http("GET", `/v1/services/web/rollouts/${number}`)).body as RolloutView;
const addresses = async (fleet: Fleet) => (await fleet.ok("service", "addresses", "web")).trim().split("\n");

/** What runs: container ids by slot and revision, of those that are not being stopped. */
async function running(fleet: Fleet): Promise<Map<string, string>> {
  const containers = (await fleet.containers(false)).filter(({ task }) => task.startsWith("web."));
  return new Map(containers.map(({ task, id }) => [task, id]));
}

/** Asks through the proxy without a pause until told to stop. */
function load(url: string, workers: number) {
  const seen = new Map<string, number>();
  const failures: string[] = [];
  let stopping = false;
  const work = async () => {
    while (!stopping) {
      try {
        const response = await fetch(url);
        const text = (await response.text()).trim();
        if (response.status !== 200) failures.push(`${response.status} ${text}`);
        seen.set(text, (seen.get(text) ?? 0) + 1);
      } catch (error) {
        failures.push((error as Error).message);
      }
    }
  };
  const done = Promise.all(Array.from({ length: workers }, work));
  return {
    seen,
    failures,
    count: () => [...seen.values()].reduce((sum, n) => sum + n, 0),
    async stop() {
      stopping = true;
      await done;
    },
  };
}

testWithEngine(
  "a rolling update under load: nobody who asks through the proxy notices",
  (engine) =>
    Fleet.use(engine, { sailors: 2 }, async (fleet) => {
      const first = await applied(fleet, service(GOOD));
      assert.match(first, /^web {2}created, revision 1 {3}3 replicas/);
      const { slots } = await statusOf(fleet);
      assert.equal(new Set(slots.map(({ node }) => node)).size, 2, "spread over the nodes");
      const proxy = fleet.start("proxy", "web", "--listen", "0");
      const url = await eventually("the proxy listens", () => /listening on (\S+)/.exec(proxy.out)?.[1]);
      const asking = load(`http://${url}/`, 4);
      try {
        await eventually("it is asked", () => asking.count() > 100);
        const said = await applied(fleet, service(`: second\n${GOOD}`));
        assert.match(said, /revision 1 -> 2 {3}rolling, 1 at a time, start-first/);
        assert.match(said, /succeeded in .* 3 of 3 healthy/);
        await eventually("it was asked often enough", () => asking.count() >= 5_000, 120_000);
      } finally {
        await asking.stop();
        await proxy.end();
      }
      assert.deepEqual(asking.failures, []);
      assert.ok((asking.seen.get("revision 1") ?? 0) > 50 && (asking.seen.get("revision 2") ?? 0) > 50);
      assert.equal(asking.seen.size, 2);
      assert.match(proxy.out, /web: \d addresses \(.*\+.*\)/);
      await eventually("the old ones are gone", async () => (await running(fleet)).size === 3);
    }),
);

testWithEngine(
  "an update that is never healthy, and one that dies later, go back; the old containers are never touched",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await applied(fleet, service(GOOD));
      const before = await running(fleet);
      const sick = await apply(fleet, service(SICK));
      assert.equal(sick.code, 1, sick.stdout);
      assert.match(sick.stdout, /reverting to revision 1 \(stable\)/);
      assert.match(sick.stdout, /failed: slot 0 of revision 2 was not healthy within 4s: .*404/);
      assert.match(sick.stdout, /last check .*404/);
      assert.match(sick.stdout, /\| this one is sick/);
      assert.match(sick.stdout, /reverted to revision 1 \(stable\): done, 3 of 3 healthy/);
      await eventually("only the old ones run", async () => (await running(fleet)).size === 3);
      assert.deepEqual(await running(fleet), before);
      const dying = await apply(fleet, service(DYING, { update: { minHealthyTime: "2s" } }, { restart: "no" }));
      assert.equal(dying.code, 1, dying.stdout);
      assert.match(dying.stdout, /failed: slot 0 of revision 3 failed: exited with code 7/);
      await eventually("all are healthy", async () => (await statusOf(fleet)).state === "healthy");
      const after = await statusOf(fleet);
      assert.deepEqual([after.revision, after.replicas.healthy], [1, 3]);
      const stayed = [...await running(fleet)].filter(([task]) => before.has(task));
      assert.ok(stayed.length >= 2, "no more than one was replaced before it was noticed");
    }),
);

testWithEngine(
  "a canary waits for a person; blueGreen switches at once; stop-first frees its port; recreate empties first",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await applied(fleet, service(GOOD));
      const canary = { update: { strategy: "canary", canary: 1, promoteDeadline: "1h" } };
      await fleet.runWithInput(
        JSON.stringify(service(`: 2\n${GOOD}`, canary)),
        "service",
        "apply",
        "-f",
        "-",
        "--detach",
      );
      await eventually("it waits", async () => (await statusOf(fleet)).state === "waiting");
      assert.equal((await addresses(fleet)).length, 4);
      const watching = fleet.start("rollout", "status", "web", "--watch");
      await fleet.ok("rollout", "promote", "web");
      assert.equal(await watching.ended(), 0, watching.out);
      assert.equal((await statusOf(fleet)).revisions.length, 1);

      const alone = { update: { strategy: "canary", promoteDeadline: "2s" } };
      const forgotten = await apply(fleet, service(`: nobody\n${GOOD}`, alone));
      assert.equal(forgotten.code, 1);
      assert.match(forgotten.stdout, /waits to be promoted {3}ormen rollout promote web/);
      assert.match(forgotten.stdout, /failed: nobody promoted it within 2s/);
      assert.match(forgotten.stdout, /reverted to revision 2 \(stable\): done, 3 of 3 healthy/);

      const side = { update: { strategy: "blueGreen", monitor: "1s" } };
      const seen = new Set<string>();
      const blueGreen = apply(fleet, service(`: 3\n${GOOD}`, side));
      let over = false;
      const looking = (async () => {
        while (!over) {
          const list = (await fleet.http("GET", "/v1/services/web/addresses")).body as {
            addresses: { revision: number }[];
          };
          seen.add(list.addresses.map(({ revision }) => revision).join(" "));
        }
      })();
      const { code, stdout } = await blueGreen;
      over = true;
      await looking;
      assert.equal(code, 0, stdout);
      assert.deepEqual([...seen], ["2 2 2", "4 4 4"]);

      const port = { replicas: 1, ports: [`${fleet.deckPort + 1000}:80`] };
      const fixed = { ...service(GOOD, { replicas: 1 }, { ports: port.ports }), name: "fixed" };
      const said = (await apply(fleet, fixed)).stdout;
      assert.match(said, /note {3}order is stop-first: host port \d+/);
      const again = await apply(fleet, {
        ...service(`: 2\n${GOOD}`, { replicas: 1 }, { ports: port.ports }),
        name: "fixed",
      });
      assert.equal(again.code, 0, again.stdout);
      const recreate = await apply(fleet, service(`: 4\n${GOOD}`, { update: { strategy: "recreate" } }));
      assert.equal(recreate.code, 0, recreate.stdout);

      for (const name of ["web", "fixed"]) await fleet.ok("service", "rm", name);
      await eventually("both are gone", async () =>
        (await fleet.json<{ services: unknown[] }>("service", "ls")).services.length === 0);
      assert.deepEqual(await fleet.containers(false), []);
    }),
);

testWithEngine(
  "kill -9 of the deck in the middle of a rollout, then of a sailor: it goes on, and each slot has one container",
  (engine) =>
    Fleet.use(engine, {
      sailors: 2,
      deckFlags: ["--node-timeout", "3s", "--heartbeat", "500ms"],
    }, async (fleet) => {
      await applied(fleet, service(GOOD, { replicas: 4 }));
      await apply(fleet, service(`: 2\n${GOOD}`, { replicas: 4 }), "--detach");
      const replaced = (count: number) =>
        eventually(`${count} are replaced`, async () => (await rollout(fleet, 2)).updated >= count);
      await replaced(1);
      await fleet.deck!.end("SIGKILL");
      fleet.startDeck();
      await fleet.ready();
      await replaced(2);
      await fleet.sailors[1]!.end("SIGKILL");
      const ended = await eventually("it has ended", async () => {
        const seen = await rollout(fleet, 2);
        return seen.endedAt !== null && seen;
      }, 60_000);
      assert.equal(ended.state, "succeeded", ended.why ?? "");
      fleet.startSailor(1);
      await fleet.ready();
      await eventually("each slot has one container", async () => {
        const tasks = [...(await running(fleet)).keys()];
        return tasks.length === 4 && new Set(tasks.map((task) => task.split(".")[1])).size === 4;
      }, 30_000);
      assert.equal((await statusOf(fleet)).state, "healthy");
    }),
);

testWithEngine(
  "scaling while it rolls, a later apply over it, no room, and a drain that replaces first",
  (engine) =>
    Fleet.use(engine, { sailors: 2, sailorFlags: (i) => ["--labels", `zone=${i}`] }, async (fleet) => {
      await applied(fleet, service(GOOD, { replicas: 2 }));
      await apply(fleet, service(SICK, { replicas: 2, update: { healthyDeadline: "15s" } }), "--detach");
      await eventually("it has begun", async () => (await statusOf(fleet)).slots.length > 2);
      await fleet.ok("service", "scale", "web", "3", "--detach");
      await applied(fleet, service(`: 3\n${GOOD}`, { replicas: 3 }));
      assert.equal((await rollout(fleet, 2)).state, "superseded");
      assert.deepEqual((await statusOf(fleet)).replicas, { desired: 3, running: 3, healthy: 3 });

      const huge = service(`: 4\n${GOOD}`, { update: { healthyDeadline: "2s", progressDeadline: "3s" } }, {
        memory: "4096GiB",
      });
      const refused = await apply(fleet, huge);
      assert.equal(refused.code, 1, refused.stdout);
      assert.match(refused.stdout, /no replica became healthy for 3s: web\.0@\d is pending/);

      const before = await running(fleet);
      const { slots } = await statusOf(fleet);
      await fleet.ok("mast", "drain", slots[0].node!);
      let least = Infinity;
      await eventually("it is drained", async () => {
        least = Math.min(least, (await statusOf(fleet)).replicas.healthy);
        const { body } = await fleet.http("GET", `/v1/nodes/${slots[0].node}`);
        return (body as { eligibility: string }).eligibility === "drained";
      }, 30_000);
      assert.equal(least, 3);
      assert.notDeepEqual(await running(fleet), before);

      const everywhere = { ...service(GOOD, { mode: "global", replicas: undefined }), name: "agent" };
      const { code, stdout } = await apply(fleet, everywhere);
      assert.equal(code, 0, stdout);
      assert.equal((await statusOf(fleet, "agent")).replicas.desired, 1);
      await fleet.ok("mast", "resume", slots[0].node!);
      await eventually("it follows", async () => (await statusOf(fleet, "agent")).replicas.healthy === 2);
    }),
);

testWithEngine(
  "a task that binds a service finds it from inside its container, and hears of each change while it runs",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      await applied(fleet, service(GOOD, { replicas: 1 }));
      const asks = [
        "wget -q -O - http://$WEB_ADDR/",
        "echo at $(wc -l < /ormen/services/web)",
        "until [ $(wc -l < /ormen/services/web) = 2 ]; do sleep 0.1; done",
        "for a in $(cat /ormen/services/web); do echo ${a%:*}; done",
        "touch /ormen/services/mine 2>/dev/null || echo read-only",
      ];
      const cmd = ["sh", "-c", asks.join("; ")];
      const { id } = await fleet.submit({ name: "client", image, cmd, bind: { WEB: "service/web" } });
      await eventually("it has asked once", async () => /at 1/.test((await fleet.run("logs", id)).stdout));
      await fleet.ok("service", "scale", "web", "2", "--detach");
      await fleet.until("client", "completed");
      const said = (await fleet.ok("logs", id)).trim().split("\n");
      const host = "host.docker.internal";
      assert.deepEqual(said, ["revision 1", "at 1", host, host, "read-only"]);
    }),
);
