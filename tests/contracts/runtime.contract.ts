/**
 * What every runtime must do, whatever stands behind it. Owns the sentences of lib/contracts/runtime.ts; what only one of
 * them has (memory limits, adoption after a restart) is tested beside its own factory.
 */
import assert from "node:assert/strict";
import type {
  ContainerObservation,
  ContainerSpec,
  LogOptions,
  OutputChunk,
  Runtime,
  RuntimeErrorCode,
  RuntimeEvent,
} from "../../lib/contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NODE, LABEL_OWNER, RuntimeError } from "../../lib/contracts/runtime.ts";

/** What the main process of a container does; each subject has its own way to say it. */
export interface Behaviour {
  /** Printed at once, one a line. */
  readonly lines?: readonly string[];
  /** Ends at once with this code; undefined: runs until it is stopped. */
  readonly code?: number;
  /** Does not heed its stop signal. */
  readonly stubborn?: boolean;
}

export interface Subject {
  /** One more runtime, of this or another node, on the same engine. */
  open(nodeId?: string): Promise<Runtime>;
  spec(name: string, behaviour: Behaviour): ContainerSpec;
  /** Looks until it is so. */
  until<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T>;
  /** Waits for a call, letting the subject's time pass. */
  during<T>(call: Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface Features {
  /** A command's program and its exit code, made for this subject: prints its input and exits with 3. */
  readonly echoCommand: readonly string[];
  /** Prints the mode and the text of the file that `files` placed. */
  readonly files: boolean;
  /** Names of tests that say nothing about this subject, for whoever runs no programs. */
  readonly except?: readonly string[];
}

export const PATIENT_MS = 10_000;

export type Define = (name: string, fn: () => Promise<void>) => void;

export function runtimeContract(define: Define, create: () => Promise<Subject>, features: Features): void {
  const excepted = new Set(features.except);
  const test = (name: string, fn: (subject: Subject, runtime: Runtime) => Promise<void>) => {
    if (excepted.delete(name)) return;
    define(name, async () => {
      const subject = await create();
      try {
        await fn(subject, await subject.open());
      } finally {
        await subject.close();
      }
    });
  };

  test("create() makes it once: the same attempt gets what is there", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    const made = await runtime.create(spec, never());
    assert.equal(made.status, "created");
    assert.equal(made.name, spec.name);
    assert.equal(made.startedMs, null);
    assert.equal(made.exitCode, null);
    const again = await runtime.create(spec, never());
    assert.equal(again.id, made.id);
    await runtime.start(spec.name);
    assert.equal((await runtime.create(spec, never())).status, "running");
    assert.equal((await runtime.list()).length, 1);
  });

  test("create() of another attempt under the same name is a conflict", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    const other = { ...spec, labels: { ...spec.labels, [LABEL_ATTEMPT]: "another" } };
    await assert.rejects(runtime.create(other, never()), withCode("conflict"));
    const found = await runtime.inspect(spec.name);
    assert.equal(found?.labels[LABEL_ATTEMPT], spec.labels[LABEL_ATTEMPT]);
  });

  test("create() of the same attempt under the same name by another node is a conflict", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    const other = await subject.open("other-node");
    await assert.rejects(other.create(spec, never()), withCode("conflict"));
  });

  test("create() does nothing once it was given up", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await assert.rejects(runtime.create(spec, AbortSignal.abort()));
    assert.equal(await runtime.inspect(spec.name), undefined);
  });

  test("create() keeps labels and adds the node's", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    const { labels } = await runtime.create(spec, never());
    const inspected = (await runtime.inspect(spec.name))!.labels;
    for (const seen of [labels, inspected]) {
      assert.equal(seen[LABEL_OWNER], spec.labels[LABEL_OWNER]);
      assert.ok(seen[LABEL_NODE]);
    }
  });

  test("start() runs it; on one that runs it does nothing", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    const first = await running(subject, runtime, spec.name);
    await runtime.start(spec.name);
    const second = (await runtime.inspect(spec.name))!;
    assert.equal(second.startedMs, first.startedMs);
    assert.equal(second.exitCode, null);
    assert.equal(second.finishedMs === null || second.finishedMs <= second.startedMs!, true);
  });

  test("start() and restart() of an unknown name say that it is missing", async (_subject, runtime) => {
    await assert.rejects(runtime.start("no-such-one"), withCode("missing"));
    await assert.rejects(runtime.restart("no-such-one", 0), withCode("missing"));
  });

  test("inspect() of an unknown name is undefined", async (_subject, runtime) => {
    assert.equal(await runtime.inspect("no-such-one"), undefined);
    assert.equal(await runtime.inspectRaw("no-such-one"), undefined);
  });

  for (const code of [0, 1, 42]) {
    test(`inspect() tells exit code ${code} and both times`, async (subject, runtime) => {
      const spec = subject.spec("a", { code });
      await runtime.create(spec, never());
      await runtime.start(spec.name);
      const seen = await exited(subject, runtime, spec.name);
      assert.equal(seen.exitCode, code);
      assert.equal(seen.oomKilled, false);
      assert.ok(seen.startedMs! > 0);
      // Times of files and of the Engine come from clocks of unlike grain.
      assert.ok(seen.finishedMs! >= seen.startedMs! - 50, `${seen.finishedMs} is before ${seen.startedMs}`);
      assert.ok(await runtime.inspectRaw(spec.name));
    });
  }

  test("stop() ends it, is final, and does nothing to one that is down or unknown", async (subject, runtime) => {
    const spec = { ...subject.spec("a", { lines: ["up"] }), restart: { kind: "always" } as const };
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await spoken(subject, runtime, spec.name);
    await subject.during(runtime.stop(spec.name, PATIENT_MS));
    const stopped = (await runtime.inspect(spec.name))!;
    assert.equal(stopped.status, "exited");
    assert.equal(stopped.exitCode, 143);
    assert.ok(stopped.finishedMs);
    await runtime.stop(spec.name, PATIENT_MS);
    await runtime.stop("no-such-one", PATIENT_MS);
    const later = (await runtime.inspect(spec.name))!;
    assert.equal(later.status, "exited");
    assert.equal(later.startedMs, stopped.startedMs);
  });

  test("stop() kills what does not heed the signal when its grace is over", async (subject, runtime) => {
    const spec = subject.spec("a", { stubborn: true, lines: ["ready"] });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await subject.until("it is deaf by now", async () => (await text(runtime, spec.name)).includes("ready"));
    await subject.during(runtime.stop(spec.name, 1_000));
    const stopped = (await runtime.inspect(spec.name))!;
    assert.equal(stopped.status, "exited");
    assert.equal(stopped.exitCode, 137);
    assert.ok(stopped.finishedMs! >= stopped.startedMs! + 900, "the grace was not waited for");
  });

  test("stop() of one that was never started leaves it so", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    await runtime.stop(spec.name, 1_000);
    assert.equal((await runtime.inspect(spec.name))!.status, "created");
  });

  test("restart() ends the run and begins another", async (subject, runtime) => {
    const spec = subject.spec("a", { lines: ["hello"] });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    const first = await running(subject, runtime, spec.name);
    await subject.until("its first run has said so", async () => (await text(runtime, spec.name)) !== "");
    await subject.during(runtime.restart(spec.name, PATIENT_MS));
    const second = await running(subject, runtime, spec.name);
    assert.ok(second.startedMs! > first.startedMs!);
    await subject.until("both runs have said so", async () => (await text(runtime, spec.name)) === "hello\nhello\n");
  });

  test("restart() starts one that has ended", async (subject, runtime) => {
    const spec = subject.spec("a", { lines: ["up"] });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await spoken(subject, runtime, spec.name);
    await subject.during(runtime.stop(spec.name, PATIENT_MS));
    await subject.during(runtime.restart(spec.name, PATIENT_MS));
    await running(subject, runtime, spec.name);
  });

  test("remove() kills it if need be, and does nothing when there is none", async (subject, runtime) => {
    const spec = subject.spec("a", { stubborn: true });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await subject.during(runtime.remove(spec.name));
    assert.equal(await runtime.inspect(spec.name), undefined);
    await runtime.remove(spec.name);
    assert.deepEqual(await runtime.list(), []);
    await runtime.create(spec, never());
    assert.equal((await runtime.inspect(spec.name))!.status, "created");
  });

  test("list(), stop() and remove() touch nothing of another node", async (subject, runtime) => {
    const other = await subject.open("other-node");
    const [mine, theirs] = [subject.spec("a", {}), subject.spec("b", {})];
    await runtime.create(mine, never());
    await other.create(theirs, never());
    await other.start(theirs.name);
    assert.deepEqual((await runtime.list()).map((c) => c.name), [mine.name]);
    assert.deepEqual((await other.list()).map((c) => c.name), [theirs.name]);
    await runtime.stop(theirs.name, 0);
    await runtime.remove(theirs.name);
    assert.equal((await other.inspect(theirs.name))?.status, "running");
  });

  test("logs() gives all there is, or the last lines, also after the end", async (subject, runtime) => {
    const spec = subject.spec("a", { lines: ["one", "two", "three"], code: 0 });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await exited(subject, runtime, spec.name);
    await subject.until("all of it is there", async () => (await text(runtime, spec.name)) === "one\ntwo\nthree\n");
    assert.equal(await text(runtime, spec.name, { tail: 2 }), "two\nthree\n");
    assert.equal(await text(runtime, spec.name, { tail: 0 }), "");
    assert.equal(await text(runtime, spec.name, { follow: true }), "one\ntwo\nthree\n");
  });

  test("logs() that follow end with the container", async (subject, runtime) => {
    const spec = subject.spec("a", { lines: ["hello"] });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    const followed = text(runtime, spec.name, { follow: true });
    await subject.until("it has spoken", async () => (await text(runtime, spec.name)) !== "");
    await subject.during(runtime.stop(spec.name, PATIENT_MS));
    assert.equal(await subject.during(followed), "hello\n");
  });

  test("logs() that follow end when they are given up", async (subject, runtime) => {
    const spec = subject.spec("a", { lines: ["hello"] });
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    const abort = new AbortController();
    let seen = "";
    const reading = (async () => {
      for await (const { data } of runtime.logs(spec.name, ALL_AND_MORE, abort.signal)) {
        seen += decoder.decode(data);
        abort.abort();
      }
    })();
    await subject.during(reading);
    assert.equal(seen, "hello\n");
    assert.equal((await runtime.inspect(spec.name))?.status, "running");
  });

  test("exec() takes input, gives output, then the code", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    await runtime.start(spec.name);
    await running(subject, runtime, spec.name);
    const session = await runtime.exec(spec.name, { command: features.echoCommand, tty: false, stdin: true });
    let over = false;
    const code = session.exitCode.finally(() => over = true);
    await session.write(new TextEncoder().encode("typed"));
    await session.closeStdin();
    const output: OutputChunk[] = [];
    for await (const chunk of session.output) {
      assert.equal(over, false, "the code was there before the output had ended");
      output.push(chunk);
    }
    assert.equal(await subject.during(code), 3);
    assert.equal(output.map(({ data }) => decoder.decode(data)).join(""), "typed");
    session.close();
  });

  test("exec() in one that does not run is refused", async (subject, runtime) => {
    const spec = subject.spec("a", {});
    await runtime.create(spec, never());
    const session = runtime.exec(spec.name, { command: features.echoCommand, tty: false, stdin: false });
    await assert.rejects(session, RuntimeError);
  });

  test(
    "events() begin with `back` and tell of start, end and removal, of own containers only",
    async (subject, runtime) => {
      const abort = new AbortController();
      const events: RuntimeEvent[] = [];
      const reading = (async () => {
        for await (const event of runtime.events(abort.signal)) events.push(event);
      })();
      try {
        await subject.until("the stream flows", () => Promise.resolve(events.length > 0));
        assert.deepEqual(events[0], { kind: "back" });
        const other = await subject.open("other-node");
        const [mine, theirs] = [subject.spec("a", {}), subject.spec("b", {})];
        await other.create(theirs, never());
        await other.start(theirs.name);
        await runtime.create(mine, never());
        await runtime.start(mine.name);
        await subject.during(runtime.stop(mine.name, PATIENT_MS));
        await runtime.remove(mine.name);
        const told = () => events.flatMap((e) => e.kind === "container" && e.what !== "other" ? [e] : []);
        await subject.until("it told of the removal", () => Promise.resolve(told().some((e) => e.what === "removed")));
        assert.deepEqual(told().map((e) => `${e.what} ${e.name}`), [
          `started ${mine.name}`,
          `died ${mine.name}`,
          `removed ${mine.name}`,
        ]);
      } finally {
        abort.abort();
        await reading;
      }
    },
  );

  if (features.files) {
    test("files are there at the first start, with their modes", async (subject, runtime) => {
      const path = "/etc/ormen test/höst.conf";
      const file = { path, content: "text with $(id), 'quotes' and ü\n", mode: 0o640 };
      const spec = {
        ...subject.spec("a", {}),
        files: [file, { path: "/run.sh", content: "", mode: 0o755 }],
        entrypoint: ["sh", "-c"],
        cmd: [`f="\${ORMEN_FILES:-}/etc/ormen test/höst.conf"; stat -c %a "$f" "\${ORMEN_FILES:-}/run.sh"; cat "$f"`],
      };
      await runtime.create(spec, never());
      await runtime.create(spec, never());
      await runtime.start(spec.name);
      const seen = await exited(subject, runtime, spec.name);
      await subject.until("the text is there", async () => (await text(runtime, spec.name)).includes("ü"));
      assert.equal(await text(runtime, spec.name), `640\n755\n${file.content}`);
      assert.equal(seen.exitCode, 0);
    });
  }
  if (excepted.size > 0) throw new Error(`no such tests are there to be excepted: ${[...excepted].join("; ")}`);
}

const decoder = new TextDecoder();
const ALL_AND_MORE: LogOptions = { follow: true, tail: null, sinceMs: null, timestamps: false };

export const never = () => new AbortController().signal;

export function withCode(code: RuntimeErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof RuntimeError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  };
}

export async function text(runtime: Runtime, name: string, change: Partial<LogOptions> = {}): Promise<string> {
  const options = { ...ALL_AND_MORE, follow: false, ...change };
  let all = "";
  for await (const { data } of runtime.logs(name, options, never())) all += decoder.decode(data, { stream: true });
  return all;
}

export function exited(subject: Subject, runtime: Runtime, name: string): Promise<ContainerObservation> {
  return subject.until(`${name} has ended`, async () => {
    const seen = await runtime.inspect(name);
    return seen?.status === "exited" && seen;
  });
}

export function running(subject: Subject, runtime: Runtime, name: string): Promise<ContainerObservation> {
  return subject.until(`${name} runs`, async () => {
    const seen = await runtime.inspect(name);
    return seen?.status === "running" && seen;
  });
}

/** Until its process has said something, signals may come before it hears them. */
export function spoken(subject: Subject, runtime: Runtime, name: string): Promise<string> {
  return subject.until(`${name} has spoken`, () => text(runtime, name).then((said) => said !== "" && said));
}

/** A spec without caps, ports or files. */
export function plainSpec(name: string): ContainerSpec {
  return {
    name,
    labels: { [LABEL_OWNER]: "contract", [LABEL_ATTEMPT]: `${name}/1` },
    image: "none",
    entrypoint: null,
    cmd: null,
    env: {},
    cpuCores: null,
    memoryBytes: null,
    ports: [],
    volumes: [],
    restart: { kind: "no" },
    stopSignal: null,
    user: null,
    workdir: null,
    network: "bridge",
    files: [],
  };
}

/** A behaviour as a shell's text. A shell that waits hears its signal at once. */
export function shellOf({ lines, code, stubborn }: Behaviour): string {
  const print = lines?.length ? `printf '%s\\n' ${lines.join(" ")}; ` : "";
  if (code !== undefined) return `${print}exit ${code}`;
  if (stubborn) return `trap '' TERM; ${print}sleep 1000`;
  return `exec 2>/dev/null; trap 'exit 143' TERM; ${print}sleep 1000 & wait $!`;
}
