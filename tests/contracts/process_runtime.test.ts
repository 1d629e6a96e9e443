import assert from "node:assert/strict";
import { join } from "node:path";
import { createProcessRuntime } from "../../lib/adapters/process_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { Runtime, RuntimeEvent } from "../../lib/contracts/runtime.ts";
import { eventually } from "../fixtures/eventually.ts";
import type { Subject } from "./runtime.contract.ts";
import {
  exited,
  never,
  PATIENT_MS,
  plainSpec,
  running,
  runtimeContract,
  shellOf,
  spoken,
  text,
} from "./runtime.contract.ts";
import { stepContract } from "./step.contract.ts";

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

interface ProcessSubject extends Subject {
  readonly dir: string;
}

async function processSubject(): Promise<ProcessSubject> {
  const dir = await Deno.makeTempDir({ prefix: "ormen-process-" });
  const opened = new Map<string, Runtime[]>();
  return {
    dir,
    async open(nodeId = "node") {
      const runtime = await createProcessRuntime({
        stateDir: dir,
        nodeId,
        clock: createSystemClock(),
        logger: SILENT,
      });
      opened.set(nodeId, [...opened.get(nodeId) ?? [], runtime]);
      return runtime;
    },
    spec: (name, behaviour) => ({ ...plainSpec(name), entrypoint: ["/bin/sh", "-c"], cmd: [shellOf(behaviour)] }),
    until: (what, look) => eventually(what, look),
    during: (call) => call,
    async close() {
      for (const runtimes of opened.values()) {
        for (const { name } of await runtimes[0].list()) await runtimes[0].remove(name);
        for (const runtime of runtimes) await runtime.close();
      }
      await Deno.remove(dir, { recursive: true });
    },
  };
}

const define = (name: string, fn: () => Promise<void>) => Deno.test({ name: `process runtime: ${name}`, fn });

runtimeContract(define, processSubject, { echoCommand: ["/bin/sh", "-c", "cat; exit 3"], files: true });

stepContract(define, processSubject);

function test(name: string, fn: (subject: ProcessSubject, runtime: Runtime) => Promise<void>): void {
  define(name, async () => {
    const subject = await processSubject();
    try {
      await fn(subject, await subject.open());
    } finally {
      await subject.close();
    }
  });
}

async function run(runtime: Runtime, name: string, command: readonly string[], env: Record<string, string> = {}) {
  await runtime.create({ ...plainSpec(name), cmd: command, env }, never());
  await runtime.start(name);
}

test("another runtime on the same directory sees what runs, its end and its code", async (subject, first) => {
  await run(first, "a", ["sh", "-c", "trap 'exit 9' TERM; echo ready; sleep 1000 & wait"]);
  await subject.until("it is ready", async () => (await text(first, "a")) !== "");
  await first.close();
  const second = await subject.open();
  assert.equal((await second.inspect("a"))!.status, "running");
  const abort = new AbortController();
  const events: RuntimeEvent[] = [];
  const reading = (async () => {
    for await (const event of second.events(abort.signal)) events.push(event);
  })();
  await subject.until("the stream flows", () => Promise.resolve(events.length > 0));
  await second.stop("a", PATIENT_MS);
  const seen = (await second.inspect("a"))!;
  assert.deepEqual([seen.status, seen.exitCode], ["exited", 9]);
  await subject.until(
    "its end was told",
    () => Promise.resolve(events.some((e) => e.kind === "container" && e.what === "died")),
  );
  abort.abort();
  await reading;
});

test("one that ended while no runtime was there has its code", async (subject, first) => {
  const fifo = join(subject.dir, "gate");
  await new Deno.Command("mkfifo", { args: [fifo] }).output();
  await run(first, "a", ["sh", "-c", `read line <"$1"; exit 21`, "sh", fifo]);
  await first.close();
  await Deno.writeTextFile(fifo, "go\n");
  const second = await subject.open();
  assert.equal((await exited(subject, second, "a")).exitCode, 21);
});

test("a process that got an ended one's pid is not taken for it", async (subject, runtime) => {
  await run(runtime, "a", ["sleep", "1000"]);
  const path = join(subject.dir, "a", "meta.json");
  const meta = JSON.parse(await Deno.readTextFile(path));
  await Deno.writeTextFile(path, JSON.stringify({ ...meta, startTicks: String(Number(meta.startTicks) - 1) }));
  assert.equal((await runtime.inspect("a"))!.status, "exited");
  await runtime.stop("a", 0);
  assert.ok(isThere(meta.pid), "a process of somebody else was signalled");
  await Deno.writeTextFile(path, JSON.stringify(meta));
  assert.equal((await runtime.inspect("a"))!.status, "running");
});

test("stop() ends the whole group, and so does the end of its first process", async (subject, runtime) => {
  const script = `trap 'exit 0' TERM; sh -c 'trap "" TERM; echo $$; sleep 1000; sleep 1000' & wait`;
  for (const name of ["stopped", "ended"]) {
    await run(runtime, name, ["sh", "-c", name === "ended" ? `${script.replace("wait", "sleep 0.2")}` : script]);
    const grandchild = Number(await subject.until("it has a child", () => text(runtime, name)));
    assert.ok(isThere(grandchild) || name === "ended");
    if (name === "stopped") await runtime.stop(name, PATIENT_MS);
    assert.equal((await exited(subject, runtime, name)).exitCode, 0);
    await subject.until("the grandchild is gone", () => Promise.resolve(!isThere(grandchild)));
  }
});

test("a group that was killed has code 137 and a time", async (subject, runtime) => {
  await run(runtime, "a", ["sh", "-c", "trap '' TERM; echo deaf; sleep 1000; sleep 1000"]);
  await spoken(subject, runtime, "a");
  await runtime.stop("a", 0);
  const seen = (await runtime.inspect("a"))!;
  assert.deepEqual([seen.status, seen.exitCode, seen.error], ["exited", 137, null]);
  assert.ok(seen.finishedMs);
});

test("what users wrote reaches no shell text", async (subject, runtime) => {
  const words = [`it's "quoted"`, "$(touch pwned) `touch pwned`", "a\nb; touch pwned", "--", "*", "", "$HOME", "\\"];
  await run(runtime, "a", ["printf", "[%s]", ...words], { WORD: "$(touch pwned)'\"\n;", dir: "elsewhere", code: "8" });
  assert.equal((await exited(subject, runtime, "a")).exitCode, 0);
  assert.equal(await text(runtime, "a"), words.map((word) => `[${word}]`).join(""));
  await run(runtime, "b", ["sh", "-c", `printf %s "$WORD"; test "$dir$code" = elsewhere8`], {
    WORD: "$(touch pwned)'\"\n;",
    dir: "elsewhere",
    code: "8",
  });
  assert.equal((await exited(subject, runtime, "b")).exitCode, 0);
  assert.equal(await text(runtime, "b"), "$(touch pwned)'\"\n;");
  for (const name of ["a", "b"]) await assert.rejects(Deno.stat(join(subject.dir, name, "pwned")));
});

test(
  "nothing of the sailor's own environment is passed on, neither to a process nor to a command in it",
  async (subject, runtime) => {
    Deno.env.set("ORMEN_CONTRACT_SECRET", "token");
    try {
      await run(runtime, "a", ["sh", "-c", "env; trap 'exit 0' TERM; sleep 1000 & wait"], { OWN: "1" });
      const own = await subject.until("it lists OWN", async () => {
        const seen = await text(runtime, "a");
        return seen.includes("OWN=1") && seen;
      });
      const session = await runtime.exec("a", { command: ["env"], tty: false, stdin: false });
      let inside = "";
      for await (const { data } of session.output) inside += new TextDecoder().decode(data);
      assert.match(inside, /^OWN=1$/m);
      for (const seen of [own, inside]) assert.doesNotMatch(seen, /ORMEN_CONTRACT_SECRET|token/);
    } finally {
      Deno.env.delete("ORMEN_CONTRACT_SECRET");
    }
  },
);

test("a program that is not there ends with 127 and says so", async (subject, runtime) => {
  await run(runtime, "a", ["/no/such/program"]);
  assert.equal((await exited(subject, runtime, "a")).exitCode, 127);
  assert.match(await text(runtime, "a"), /not found/);
});

test("a working directory that is not there fails the start with its words", async (_subject, runtime) => {
  await runtime.create({ ...plainSpec("a"), cmd: ["true"], workdir: "/no/such/place" }, never());
  await assert.rejects(runtime.start("a"), /no such|ENOENT/i);
  assert.match((await runtime.inspect("a"))!.error ?? "", /no such|ENOENT/i);
});

test("names that would leave the directory are refused", async (_subject, runtime) => {
  for (const name of ["../a", "a/b", "", ".hidden"]) {
    await assert.rejects(runtime.create({ ...plainSpec("x"), name, cmd: ["true"] }, never()), { code: "invalid" });
  }
});

test("two processes of one name are not started by a second start()", async (subject, runtime) => {
  await run(runtime, "a", ["sh", "-c", "echo up; trap 'exit 0' TERM; sleep 1000 & wait"]);
  await running(subject, runtime, "a");
  await runtime.start("a");
  await subject.until("it is up", async () => (await text(runtime, "a")) !== "");
  assert.equal(await text(runtime, "a"), "up\n");
});

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

test("what a sailor that died on the way has left of a step's files is made anew", async (subject, runtime) => {
  await Deno.mkdir(join(subject.dir, "a"));
  await Deno.writeTextFile(join(subject.dir, "a", "script"), "exit 1; ec", { mode: 0o555 });
  await Deno.writeTextFile(join(subject.dir, "a", "output"), "of another life");
  const script = { text: "echo whole", shell: ["sh"] };
  await runtime.create({ ...plainSpec("a"), script, outputFile: true }, never());
  await runtime.start("a");
  assert.equal((await exited(subject, runtime, "a")).exitCode, 0);
  assert.equal(await text(runtime, "a"), "whole\n");
  assert.equal((await runtime.leavings("a", 100)).output, "");
});
