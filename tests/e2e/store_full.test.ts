/** A deck whose disk is full: it serves reads, refuses writes in words, and goes on by itself when there is room. */
import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { eventually } from "../fixtures/eventually.ts";
import { command, freePorts, http, Process } from "./support.ts";

/** Root alone may mount, and in a namespace of its own nothing stays mounted, whatever becomes of the test. */
const mayMount = Deno.build.os === "linux" && Deno.uid() === 0 && await run("unshare", "-m", "true") === 0;

Deno.test({
  name: "deck on a full disk: reads go on, /readyz and writes say 503, and it goes on when there is room",
  ...skipUnless(mayMount, "a full disk is made of a small tmpfs, which takes root and the right to mount"),
  async fn() {
    const [port, sailorPort] = freePorts(2);
    const dir = await Deno.makeTempDir();
    const mounted = new Deno.Command("unshare", {
      args: ["-m", "sh", "-c", `mount -t tmpfs -o size=4m tmpfs "$0" && echo mounted && exec sleep 1000`, dir],
      stdout: "piped",
    }).spawn();
    const told = mounted.stdout.getReader();
    await told.read();
    await told.cancel();
    const inside = ["nsenter", "-t", `${mounted.pid}`, "-m"];
    const url = `http://localhost:${port}`;
    const start = () =>
      new Process(["deck", "-p", `${port}`, "-w", `localhost:${sailorPort}`, "--data-dir", `${dir}/deck`], {
        through: inside,
      });
    // Its data lie beside the small disk, in what is mounted over.
    const sailor = new Process([
      "sailor",
      "-p",
      `${sailorPort}`,
      "--runtime",
      "process",
      "--data-dir",
      `${dir}/sailor`,
    ]);
    const deck = start();
    const accepted: string[] = [];
    // Large ones: the store reuses what its files have, so that a small one may still fit.
    const document = () => ({ name: `t${accepted.length}`, image: "x:1", env: { FILL: "x".repeat(30_000) } });
    const submit = async () => {
      const answer = await http("POST", `${url}/v1/tasks`, document());
      if (answer.status === 201) accepted.push(answer.body.id);
      return answer;
    };
    const again = { name: "again", runtime: "process", cmd: ["false"], restart: "on-failure:1", reschedule: true };
    const look = async () => (await http("GET", `${url}/v1/tasks/again`)).body;
    const ready = async () => (await http("GET", `${url}/readyz`)).status;
    try {
      await eventually("the deck is ready", async () => await ready() === 200);
      // One that waits for its next attempt: its alarm falls due while nothing can be written.
      accepted.push((await http("POST", `${url}/v1/tasks`, again)).body.id);
      const waiting = await eventually("it waits for its retry", async () => {
        const task = await look();
        return task.retryAt !== null && task;
      });
      const refused = await eventually("the disk is full, and the deck says so", async () => {
        const answer = await submit();
        return answer.status !== 201 && await ready() === 503 &&
          (await http("GET", `${url}/metrics`)).text.includes("\normen_store_writable 0\n") && answer;
      }, 60_000);
      assert.deepEqual([refused.status, refused.body.code], [503, "unavailable"]);
      assert.ok(Number(refused.headers.get("retry-after")) > 0);
      const list = await command(["status", "--json", "-m", `localhost:${port}`]);
      assert.deepEqual(JSON.parse(list.stdout).tasks.map((task: { id: string }) => task.id), accepted);
      const said = await eventually("the command fails", async () => {
        const input = JSON.stringify(document());
        const answer = await command(["run", "--json", "-f", "-", "-m", `localhost:${port}`], {}, input);
        if (answer.code === 0) accepted.push(JSON.parse(answer.stdout).id);
        else return answer;
      });
      assert.equal(said.code, 1);
      assert.match(said.stderr, /^error: .*(full|store|write)/);

      await eventually("it serves when its alarm has rung", async () => {
        assert.equal((await http("GET", `${url}/v1/tasks?limit=1000`)).body.tasks.length, accepted.length);
        return Date.now() > Date.parse(waiting.retryAt) + 2_000;
      });

      assert.equal(await run(...inside, "mount", "-o", "remount,size=64m", dir), 0);
      await eventually("it is ready again", async () => await ready() === 200);
      assert.equal((await submit()).status, 201);
      await eventually("the retry is made", async () => (await look()).attempts > waiting.attempts);
      assert.equal(await deck.end(), 0);
      const next = start();
      try {
        await eventually("it is back", async () => await ready() === 200);
        const { tasks } = (await http("GET", `${url}/v1/tasks?limit=1000`)).body;
        assert.deepEqual(tasks.map((task: { id: string }) => task.id).sort(), accepted.toSorted());
      } finally {
        await next.end();
      }
    } finally {
      await deck.end("SIGKILL");
      await sailor.end("SIGKILL");
      mounted.kill("SIGKILL");
      await mounted.status;
      await Deno.remove(dir, { recursive: true });
    }
  },
});

async function run(...[program, ...args]: string[]): Promise<number> {
  try {
    return (await new Deno.Command(program, { args, stdout: "null", stderr: "null" }).output()).code;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 127;
    throw error;
  }
}
