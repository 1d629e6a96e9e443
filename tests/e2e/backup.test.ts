/**
 * The deck's host is gone: its data are restored elsewhere, its sailors are pointed there, and what runs goes on.
 * The steps are those of docs/operations.md.
 */
import assert from "node:assert/strict";
import type { NodeView, TaskDetailView } from "../../lib/messages/api.ts";
import { eventually } from "../fixtures/eventually.ts";
import { command, freePorts, http, Process } from "./support.ts";

Deno.test("a lost deck's data are restored on another host, and what runs is neither restarted nor lost", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-e2e-" });
  const [oldPort, newPort, sailorPort] = freePorts(3);
  const backup = `${dir}/deck.backup`;
  const startDeck = (name: string, port: number) =>
    new Process(["deck", "-p", `${port}`, "-w", "", "--data-dir", `${dir}/${name}`]);
  const startSailor = (port: number) =>
    new Process([
      ...["sailor", "-p", `${sailorPort}`, "--runtime", "process", "--data-dir", `${dir}/sailor`],
      ...["--join", `http://localhost:${port}`],
    ]);
  const at = (port: number) => ({
    run: async (...args: string[]) => {
      const { code, stdout, stderr } = await command(args, { ORMEN_DECK: `localhost:${port}` });
      assert.equal(code, 0, `ormen ${args.join(" ")}: ${stderr}`);
      return stdout;
    },
    task: async (name: string) =>
      (await http("GET", `http://localhost:${port}/v1/tasks/${name}`)).body as TaskDetailView,
    submit: async (name: string) => {
      const task = { name, runtime: "process", cpu: 0.01, grace: "0s", cmd: ["sleep", "1000"] };
      assert.equal((await http("POST", `http://localhost:${port}/v1/tasks`, task)).status, 201);
    },
    ready: () =>
      eventually("its sailor is ready", async () => {
        const { nodes } = (await http("GET", `http://localhost:${port}/v1/nodes`)).body as { nodes: NodeView[] };
        return nodes.length === 1 && nodes[0].status === "ready";
      }, 30_000),
    running: (name: string) => eventually(`${name} runs`, async () => (await at(port).task(name)).state === "running"),
  });
  const [old, fresh] = [at(oldPort), at(newPort)];
  let deck = startDeck("old", oldPort);
  let sailor = startSailor(oldPort);
  try {
    await old.ready();
    for (const name of ["web", "worker"]) await old.submit(name);
    for (const name of ["web", "worker"]) await old.running(name);
    const before = await Promise.all(["web", "worker"].map(old.task));
    // Taken while it runs.
    assert.match(await old.run("backup", backup), /records of cluster [0-9a-f]{8}, term 1, /);
    assert.equal((await Deno.stat(backup)).mode! & 0o777, 0o600);
    await old.submit("later");
    await old.running("later");

    await deck.end("SIGKILL");
    await Deno.remove(`${dir}/old`, { recursive: true });
    const restored = await command(["restore", backup, "--data-dir", `${dir}/new`]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(restored.stdout, /2 tasks and 1 nodes as of .*\nWhat was accepted after the backup is not known/);
    deck = startDeck("new", newPort);
    await sailor.end();
    sailor = startSailor(newPort);
    await fresh.ready();

    for (const [i, name] of ["web", "worker"].entries()) {
      await fresh.running(name);
      const after = await fresh.task(name);
      assert.equal(after.id, before[i].id);
      assert.deepEqual(
        [after.attempt!.number, after.attempt!.startedAt, after.attempt!.restarts],
        [before[i].attempt!.number, before[i].attempt!.startedAt, 0],
      );
    }
    // What was accepted after the backup is told honestly: the deck does not know it, and says that there is a hole.
    assert.equal((await http("GET", `http://localhost:${newPort}/v1/tasks/later`)).status, 404);
    assert.match(await fresh.run("events"), /deckRestored .*what happened after it is not known to this deck/);
    // Stopping and starting works as before.
    await fresh.run("stop", "web", "worker", "--wait");
    await fresh.submit("next");
    await fresh.running("next");
    await fresh.run("stop", "next", "--wait");
  } catch (error) {
    console.error(`deck:\n${deck.log}\nsailor:\n${sailor.log}`);
    throw error;
  } finally {
    await deck.end("SIGKILL");
    await sailor.end();
    await Deno.remove(dir, { recursive: true });
  }
});
