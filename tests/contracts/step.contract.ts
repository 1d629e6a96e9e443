/** What runtimes that run programs do for steps of workflows: scripts, and the file behind ORMEN_OUTPUT. */
import assert from "node:assert/strict";
import type { ContainerSpec, Runtime } from "../../lib/contracts/runtime.ts";
import type { Define, Subject } from "./runtime.contract.ts";
import { exited, never, text } from "./runtime.contract.ts";

export function stepContract(define: Define, create: () => Promise<Subject>): void {
  const test = (name: string, fn: (subject: Subject, runtime: Runtime) => Promise<void>) =>
    define(name, async () => {
      const subject = await create();
      try {
        await fn(subject, await subject.open());
      } finally {
        await subject.close();
      }
    });

  test("a script takes the place of the command, whatever its text holds", async (subject, runtime) => {
    const script = `test -z "$(cat "$ORMEN_OUTPUT")"; echo '$(id)' "ü" 'it'"'"'s' $#; exit 4\n`;
    assert.equal(await ran(subject, runtime, script), 4);
    const spoken = await subject.until("it is told", async () => await text(runtime, stepOf(subject, "").name));
    assert.equal(spoken, "$(id) ü it's 0\n");
  });

  test("leavings() has what was written to ORMEN_OUTPUT, also after a restart", async (subject, runtime) => {
    const { name } = stepOf(subject, "");
    assert.equal(await ran(subject, runtime, "true"), 0);
    assert.equal((await runtime.leavings(name, 1_000)).output, "");
    await runtime.remove(name);
    assert.equal(await ran(subject, runtime, 'printf "a=1\nb=ü" >>"$ORMEN_OUTPUT"'), 0);
    assert.deepEqual(await runtime.leavings(name, 1_000), { output: "a=1\nb=ü", answer: null });
    const next = await subject.open();
    assert.equal((await next.leavings(name, 8)).output, "a=1\nb=ü");
    await assert.rejects(next.leavings(name, 7), /holds more than/);
  });

  for (
    const [what, script] of [
      ["link", 'rm "$ORMEN_OUTPUT"; ln -s /etc/passwd "$ORMEN_OUTPUT"'],
      ["directory", 'rm "$ORMEN_OUTPUT"; mkdir "$ORMEN_OUTPUT"'],
      ["pipe", 'rm "$ORMEN_OUTPUT"; mkfifo "$ORMEN_OUTPUT"'],
    ]
  ) {
    test(`leavings() refuses a ${what} in the place of ORMEN_OUTPUT`, async (subject, runtime) => {
      assert.equal(await ran(subject, runtime, script), 0);
      await assert.rejects(runtime.leavings(stepOf(subject, "").name, 1_000), /no plain file/);
    });
  }

  test("leavings() without the file, or of a task that has none, are null", async (subject, runtime) => {
    assert.equal(await ran(subject, runtime, 'rm "$ORMEN_OUTPUT"'), 0);
    assert.equal((await runtime.leavings(stepOf(subject, "").name, 1_000)).output, null);
    const plain = subject.spec("b", { code: 0 });
    await runtime.create(plain, never());
    assert.equal((await runtime.leavings(plain.name, 1_000)).output, null);
  });
}

function stepOf(subject: Subject, text: string): ContainerSpec {
  return {
    ...subject.spec("a", {}),
    entrypoint: ["/no/such/program"],
    cmd: ["/neither"],
    script: { text, shell: ["sh", "-eu"] },
    outputFile: true,
  };
}

/** Its exit code. */
async function ran(subject: Subject, runtime: Runtime, script: string): Promise<number | null> {
  const spec = stepOf(subject, script);
  await runtime.create(spec, never());
  await runtime.create(spec, never());
  await runtime.start(spec.name);
  return (await exited(subject, runtime, spec.name)).exitCode;
}
