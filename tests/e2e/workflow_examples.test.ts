/** Every example in workflows/, on a real Engine, as its reader would run it; and what each is there to show. */
import assert from "node:assert/strict";
import type { RunView, WorkflowView } from "../../lib/messages/run_api.ts";
import { testWithEngine } from "../fixtures/engine.ts";
import { eventually } from "../fixtures/eventually.ts";
import { BUSYBOX_IMAGE } from "../fixtures/images.ts";
import { Fleet } from "./support.ts";

const WORKFLOWS = new URL("../../workflows", import.meta.url).pathname;
/** All of them run at once, on a machine that may have other work. */
const WITHIN_MS = 120_000;

interface Example {
  readonly file: string;
  readonly flags?: readonly string[];
  readonly code?: number;
  /** What somebody does while it runs. */
  readonly meanwhile?: (fleet: Fleet) => Promise<void>;
  readonly check: (run: RunView) => void;
}

const EXAMPLES: readonly Example[] = [
  {
    file: "hello.yaml",
    check({ steps }) {
      assert.deepEqual([steps.greet.state, steps.greet.attempts], ["succeeded", 1]);
    },
  },
  {
    file: "diamond.yaml",
    flags: ["-p", "number=20"],
    check(run) {
      assert.deepEqual(run.params, { number: 20 });
      assert.deepEqual(run.steps.source.outputs, { number: "20" });
      assert.deepEqual(run.outputs, { sum: 440 });
      const { double, square, sum } = run.steps;
      for (const { finishedAt } of [double, square]) {
        assert.ok(Date.parse(finishedAt!) <= Date.parse(sum.startedAt!), "the sum began before what it needs");
      }
    },
  },
  {
    file: "matrix.yaml",
    check({ steps: { test } }) {
      assert.deepEqual(test.instances!.map(({ state, value, outputs }) => ({ state, value, ...outputs })), [
        { state: "succeeded", value: { os: "alpine", version: 1, slow: true }, said: "alpine 1 slow=true" },
        { state: "succeeded", value: { os: "alpine", version: 2, slow: true }, said: "alpine 2 slow=true" },
        { state: "succeeded", value: { os: "debian", version: 2 }, said: "debian 2 slow=false" },
        { state: "succeeded", value: { os: "ubuntu", version: 3 }, said: "ubuntu 3 slow=false" },
      ]);
    },
  },
  {
    file: "map-reduce.yaml",
    check({ steps: { count }, outputs }) {
      assert.deepEqual(count.instances!.map(({ value }) => value), ["tree", "sail", "harbour"]);
      assert.deepEqual(count.instances!.map((instance) => instance.outputs.letters), [4, 4, 7]);
      assert.deepEqual(outputs, { letters: 15 });
    },
  },
  {
    file: "retry.yaml",
    check({ steps: { fetch } }) {
      assert.deepEqual([fetch.state, fetch.attempts, fetch.outputs], [
        "succeeded",
        3,
        { said: "fetched by attempt 3" },
      ]);
    },
  },
  {
    file: "conditionals.yaml",
    check(run) {
      assert.equal(run.state, "warning");
      assert.deepEqual(outcomes(run), {
        build: "succeeded",
        migrate: "skipped",
        deploy: "succeeded",
        probe: "failed",
        rollback: "succeeded",
        announce: "skipped",
        report: "succeeded",
      });
      assert.equal(run.steps.probe.conclusion, "succeeded");
      assert.deepEqual(run.steps.report.outputs, { said: "probe failed, migrate skipped" });
    },
  },
  {
    file: "approval.yaml",
    async meanwhile(fleet) {
      await eventually("the approval is asked for", async () => {
        const { code, stdout } = await fleet.run("workflow", "status", "approval", "--json");
        return code === 0 && (JSON.parse(stdout) as RunView).steps.approve.state === "waiting";
      }, WITHIN_MS);
      const unfit = await fleet.run("workflow", "approve", "approval", "approve", "-i", "ticket=7");
      assert.notEqual(unfit.code, 0, "an input that its pattern does not allow was taken");
      await fleet.ok("workflow", "approve", "approval", "approve", "-i", "ticket=OPS-7");
    },
    check({ steps: { approve, ship } }) {
      assert.deepEqual(approve.outputs, { ticket: "OPS-7" });
      assert.deepEqual(ship.outputs, { said: "shipped v42 for OPS-7" });
    },
  },
  {
    file: "service.yaml",
    check({ steps: { database, migrate, look, test } }) {
      assert.equal(look.outputs.said, "ok");
      assert.equal(migrate.outputs.said, "migrated, the database is ok");
      assert.equal(test.outputs.said, "tested, the database is ok");
      assert.deepEqual([database.state, database.attempts], ["succeeded", 1]);
      assert.ok(
        Date.parse(database.finishedAt!) >= Date.parse(test.finishedAt!),
        "the database did not outlive its users",
      );
    },
  },
  {
    file: "finally.yaml",
    code: 1,
    check(run) {
      assert.equal(run.state, "failed");
      assert.deepEqual(outcomes(run), {
        deploy: "failed",
        announce: "upstreamFailed",
        page: "succeeded",
        cleanup: "succeeded",
      });
      assert.match(run.steps.deploy.error!, /no space left on device/);
      assert.equal(run.steps.announce.attempts, 0);
      assert.deepEqual(run.steps.page.outputs, { said: "deploy failed" });
    },
  },
  {
    file: "sub-workflow.yaml",
    check({ steps: { warm, report } }) {
      assert.match(warm.runId!, /^warm-/);
      assert.deepEqual(warm.outputs, { warm: 2 });
      assert.deepEqual(report.outputs, { said: "2 shards are warm" });
    },
  },
  {
    file: "canary.yaml",
    check({ steps: { before, ship, look }, outputs }) {
      assert.deepEqual([before.outputs.revision, ship.outputs.revision, outputs.revision], [1, 2, 2]);
      assert.equal((ship.outputs.addresses as string[]).length, 3);
      assert.equal(look.state, "succeeded");
    },
  },
  {
    file: "warm.yaml",
    check({ outputs }) {
      assert.deepEqual(outputs, { warm: 1 });
    },
  },
  {
    file: "ci.yaml",
    flags: ["-p", "release=true"],
    check({ outputs, steps }) {
      assert.match(String(outputs.digest), /^[0-9a-f]{12}$/);
      assert.equal(outputs.published, `ormen@${outputs.digest}`);
      assert.deepEqual(steps.test.instances!.map(({ state }) => state), ["succeeded", "succeeded"]);
    },
  },
];

/** Waits for all of them, whatever becomes of one, so that nothing goes on after its test. */
async function all(runs: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(runs)).flatMap((run) => run.status === "rejected" ? [run.reason] : []);
  if (failed.length > 0) throw new AggregateError(failed, failed.map(({ message }) => message).join("\n\n"));
}

function outcomes({ steps }: RunView): Record<string, string | null> {
  return Object.fromEntries(Object.entries(steps).map(([id, { outcome }]) => [id, outcome]));
}

testWithEngine("examples: each runs as its comment says", (engine) =>
  Fleet.use(engine, {}, async (fleet) => {
    await all([
      ...EXAMPLES.map((example) => runExample(fleet, example)),
      runSchedule(fleet),
      runScript(fleet),
      runDeploy(fleet),
    ]);
  }));

testWithEngine(
  "docs/workflows.md: the workflows that need nothing else run as they stand",
  (engine) =>
    Fleet.use(engine, {}, async (fleet) => {
      const runs = pageWorkflows().map(async (text, index) => {
        const path = `${fleet.dir}/${index}.yaml`;
        await Deno.writeTextFile(path, text.replaceAll("busybox:1", BUSYBOX_IMAGE));
        const flags = /version: .*required: true/.test(text) ? ["-p", "version=v1"] : [];
        const { code, stdout, stderr } = await fleet.run("workflow", "run", path, ...flags);
        assert.equal(code, 0, `${text}\n${stdout}${stderr}`);
      });
      await all(runs);
    }),
);

/** Without those that wait for a person, an address, a secret or another workflow. */
function pageWorkflows(): string[] {
  const page = Deno.readTextFileSync(new URL("../../docs/workflows.md", import.meta.url));
  const all = [...page.matchAll(/```yaml\n(name:[\s\S]*?)```/g)].map(([, text]) => text);
  const alone = all.filter((text) => !/^ *(approval|http|workflow|secrets|schedule):|example\//m.test(text));
  assert.ok(alone.length >= 9, `only ${alone.length} workflows of the page can be run`);
  return alone;
}

Deno.test("examples: all of them are run", () => {
  const files = [...Deno.readDirSync(WORKFLOWS)].map(({ name }) => name).filter((name) => /\.(yaml|ts)$/.test(name));
  assert.deepEqual(
    files.sort(),
    [...EXAMPLES.map(({ file }) => file), "schedule.yaml", "canary.ts", "deploy.yaml"].sort(),
  );
});

async function runExample(fleet: Fleet, { file, flags = [], code = 0, meanwhile, check }: Example): Promise<void> {
  const running = fleet.run("workflow", "run", `${WORKFLOWS}/${file}`, ...flags, "--json");
  await meanwhile?.(fleet);
  const output = await running;
  assert.equal(output.code, code, `${file}: ${output.stdout}${output.stderr}`);
  const run = JSON.parse(output.stdout.trimEnd().split("\n").at(-1)!) as RunView;
  if (code === 0 && run.state !== "warning") assert.equal(run.state, "succeeded", file);
  try {
    check(run);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}\n${JSON.stringify(run, null, 2)}`, { cause: error });
  }
}

/** A version that is right, then one that is not: the service goes back. */
async function runDeploy(fleet: Fleet): Promise<void> {
  await runExample(fleet, {
    file: "deploy.yaml",
    check({ steps: { ship, smoke, revert }, outputs }) {
      assert.deepEqual([smoke.outputs, outputs, revert.state], [{ said: "shop v1" }, { revision: 1 }, "skipped"]);
      const { address, addresses } = ship.outputs as { address: string; addresses: string[] };
      assert.equal(address, addresses[0]);
      assert.equal(addresses.length, 3);
    },
  });
  await runExample(fleet, {
    file: "deploy.yaml",
    flags: ["-p", "version=v2", "-p", "back=v1", "-p", "path=/nope"],
    code: 1,
    check(run) {
      assert.deepEqual(outcomes(run), {
        build: "succeeded",
        ship: "succeeded",
        smoke: "failed",
        revert: "succeeded",
      });
      assert.match(run.steps.smoke.error!, /answered with status 404/);
    },
  });
  const [address] = (await fleet.ok("service", "addresses", "shop")).split("\n");
  const answer = await fetch(`http://${address}/version`, { signal: AbortSignal.timeout(WITHIN_MS) });
  assert.equal((await answer.text()).trim(), "shop v1");
}

/** Its slots come once a minute, which is too long to wait for: it is asked to run by its name. */
async function runSchedule(fleet: Fleet): Promise<void> {
  await fleet.ok("workflow", "apply", `${WORKFLOWS}/schedule.yaml`);
  const { workflows } = await fleet.json<{ workflows: WorkflowView[] }>("workflow", "list");
  const { cron, nextAt } = workflows.find(({ name }) => name === "schedule")!.schedule!;
  const waitMs = Date.parse(nextAt!) - Date.now();
  assert.ok(cron === "* * * * *" && waitMs > -5_000 && waitMs <= 60_000, `its next slot is in ${waitMs} ms`);
  const lines = (await fleet.ok("workflow", "run", "schedule", "--json")).trimEnd().split("\n");
  const run = JSON.parse(lines.at(-1)!) as RunView;
  assert.deepEqual([run.workflow, run.cause, run.steps.greet.outputs], ["schedule", "manual", { said: "hello" }]);
}

async function runScript(fleet: Fleet): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", `${WORKFLOWS}/canary.ts`],
    env: { ORMEN_DECK: `localhost:${fleet.deckPort}`, NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.equal(code, 0, text);
  assert.match(text, /succeeded/);
  const run = JSON.parse(await fleet.ok("workflow", "status", "canary", "--json")) as RunView;
  assert.deepEqual(run.outputs, { version: "v43", errors: 0 });
}
