import assert from "node:assert/strict";
import { skipUnless } from "../fixtures/skip.ts";
import { join } from "node:path";
import { openDataDir, writeFileAtomically } from "../../lib/adapters/data_dir.ts";

function test(name: string, fn: (dir: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir({ prefix: "ormen-data-" });
    try {
      await fn(dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

test("openDataDir() makes it closed to others, marks it, and opens it again after release", async (dir) => {
  const path = join(dir, "deep", "deck");
  const data = await openDataDir(path, "deck");
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o700);
  assert.deepEqual(JSON.parse(await Deno.readTextFile(join(path, "format"))), { kind: "deck", version: 1 });
  await assert.rejects(openDataDir(path, "deck"), new RegExp(`in use by another deck \\(pid ${Deno.pid}\\)`));
  data.release();
  data.release();
  (await openDataDir(path, "deck")).release();
});

test("openDataDir() says whose it is rather than that it is in use", async (dir) => {
  const data = await openDataDir(dir, "sailor");
  await assert.rejects(openDataDir(dir, "deck"), {
    message: `${dir} belongs to a sailor; give this deck another --data-dir`,
  });
  data.release();
});

for (const text of ["", "{", "{}", '{"kind":"deck"}', '{"kind":"deck","version":"1"}']) {
  test(`openDataDir() refuses one whose format file says ${text || "nothing"}`, async (dir) => {
    await Deno.writeTextFile(join(dir, "format"), text);
    await assert.rejects(openDataDir(dir, "deck"), {
      message: `cannot read ${dir}/format: it is not one of ormen's; choose another --data-dir`,
    });
    assert.deepEqual(Array.from(Deno.readDirSync(dir), (entry) => entry.name), ["format"]);
  });
}

test("openDataDir() refuses a newer format, whatever else has changed in it", async (dir) => {
  await Deno.writeTextFile(join(dir, "format"), '{"kind":"fleet","version":2,"more":[]}');
  await assert.rejects(openDataDir(dir, "deck"), {
    message: `${dir} was written by a newer ormen (format 2); use that version, or another --data-dir`,
  });
});

Deno.test({
  name: "openDataDir() refuses a read-only disk (made by mounting, which takes root)",
  ...skipUnless(
    Deno.build.os === "linux" && Deno.uid() === 0,
    "a read-only disk is made by mounting, which takes root",
  ),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "ormen-data-" });
    const args = ["-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", dir];
    const { success } = await new Deno.Command("mount", { args, stderr: "null" }).output();
    try {
      if (!success) return console.log("ignored: this root may not mount");
      const says = (start: string, end: string) => (error: Error) => {
        assert.ok(error.message.startsWith(start) && error.message.endsWith(end), error.message);
        assert.match(error.message, /Read-only file system/);
        return true;
      };
      await assert.rejects(
        openDataDir(dir, "deck"),
        says(`cannot write to the data directory ${dir}: `, "; make it writable, or choose another --data-dir"),
      );
      const below = join(dir, "below");
      await assert.rejects(
        openDataDir(below, "deck"),
        says(`cannot make the data directory ${below}: `, "; choose another --data-dir"),
      );
    } finally {
      if (success) await new Deno.Command("umount", { args: [dir] }).output();
      await Deno.remove(dir);
    }
  },
});

test("openDataDir() names the process that holds it, until that dies", async (dir) => {
  const module = new URL("../../lib/adapters/data_dir.ts", import.meta.url).href;
  const code = `import { openDataDir } from ${JSON.stringify(module)};
    await openDataDir(${JSON.stringify(dir)}, "sailor");
    console.log("held");
    await Deno.stdin.read(new Uint8Array(1));`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", code],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await assert.rejects(openDataDir(dir, "sailor"), (error: Error) => {
    assert.match(error.message, new RegExp(`in use by another sailor \\(pid ${child.pid}\\); stop it`));
    assert.ok(error.message.startsWith(dir));
    return true;
  });
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await child.stdin.close().catch(() => {});
  (await openDataDir(dir, "sailor")).release();
});

test("openDataDir() refuses one of another kind or of a newer format, and changes nothing", async (dir) => {
  for (
    const [format, says] of [
      [{ kind: "sailor", version: 1 }, /belongs to a sailor; give this deck another --data-dir/],
      [{ kind: "deck", version: 2 }, /newer ormen \(format 2\)/],
    ] as const
  ) {
    await Deno.writeTextFile(join(dir, "format"), JSON.stringify(format));
    await assert.rejects(openDataDir(dir, "deck"), says);
    assert.deepEqual(Array.from(Deno.readDirSync(dir), (entry) => entry.name), ["format"]);
  }
  await Deno.writeTextFile(join(dir, "format"), "{");
  await assert.rejects(openDataDir(dir, "deck"), /cannot read .*format/);
});

test("openDataDir() refuses a file, and a place below a file", async (dir) => {
  const file = join(dir, "file");
  await Deno.writeTextFile(file, "");
  await assert.rejects(openDataDir(file, "deck"), /is no directory; choose another --data-dir/);
  await assert.rejects(openDataDir(join(file, "below"), "deck"), /choose another --data-dir/);
});

Deno.test({
  name: "openDataDir() refuses one it may not write to (root may write anywhere)",
  ...skipUnless(Deno.uid() !== 0, "root may write anywhere, so nothing can be closed to it"),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "ormen-data-" });
    try {
      await Deno.chmod(dir, 0o500);
      await assert.rejects(openDataDir(dir, "deck"), /cannot write to the data directory .*choose another --data-dir/);
      await assert.rejects(openDataDir(join(dir, "below"), "deck"), /cannot make the data directory/);
    } finally {
      await Deno.chmod(dir, 0o700);
      await Deno.remove(dir, { recursive: true });
    }
  },
});

test("writeFileAtomically() replaces a file and leaves none beside it", async (dir) => {
  const path = join(dir, "a");
  for (const text of ["a long first text".repeat(100_000), "ü"]) {
    await writeFileAtomically(path, text);
    assert.equal(await Deno.readTextFile(path), text);
  }
  assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  assert.equal(Array.from(Deno.readDirSync(dir)).length, 1);
});
