import assert from "node:assert/strict";
import { join } from "node:path";
import { firstOfTar, tarOf } from "../../lib/adapters/tar.ts";

Deno.test("tarOf() is what tar unpacks, with modes, long and wide names", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-tar-" });
  const files = [
    { path: "/etc/app.conf", content: "a = ü\n", mode: 0o644 },
    { path: "/run.sh", content: "", mode: 0o755 },
    { path: "/exact", content: "x".repeat(512), mode: 0o600 },
    { path: `/${"deep-directory/".repeat(9)}${"n".repeat(60)}`, content: "long", mode: 0o640 },
    { path: "/höst/datei", content: "x".repeat(2_000), mode: 0o400 },
  ];
  try {
    const archive = join(dir, "a.tar");
    await Deno.writeFile(archive, tarOf(files));
    const { success, stderr } = await new Deno.Command("tar", { args: ["-xpf", archive, "-C", dir] }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    for (const { path, content, mode } of files) {
      assert.equal(await Deno.readTextFile(join(dir, path)), content);
      assert.equal((await Deno.stat(join(dir, path))).mode! & 0o777, mode, path);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("tarOf() refuses a path that does not fit", () => {
  const file = { path: `/${"x".repeat(101)}`, content: "", mode: 0o644 };
  assert.throws(() => tarOf([file]), /too long/);
});

/** As a socket gives it: in pieces that end anywhere. */
async function* pieces(bytes: Uint8Array, size = 100): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.slice(at, at + size));
}

const archived = (content: string) =>
  tarOf([{ path: "/a", content, mode: 0o644 }, { path: "/b", content: "b", mode: 0o644 }]);
const decode = (data: Uint8Array) => new TextDecoder().decode(data);

Deno.test("firstOfTar() gives back what tarOf() was given, up to the limit", async () => {
  for (const content of ["", "x", "ü".repeat(256), "y".repeat(513)]) {
    const entry = await firstOfTar(pieces(archived(content)), 1_000);
    assert.ok(entry.kind === "file");
    assert.equal(decode(entry.data), content);
  }
  assert.equal((await firstOfTar(pieces(archived("x".repeat(1_000))), 1_000)).kind, "file");
  assert.deepEqual(await firstOfTar(pieces(archived("x".repeat(1_001))), 1_000), { kind: "large" });
});

Deno.test("firstOfTar() reads no further than it must", async () => {
  let read = 0;
  async function* endless(): AsyncIterable<Uint8Array> {
    yield archived("x");
    while (true) {
      read++;
      yield await Promise.resolve(new Uint8Array(512));
    }
  }
  assert.equal((await firstOfTar(endless(), 10)).kind, "file");
  assert.equal(read, 0);
});

Deno.test("firstOfTar() reads what tar packs, and tells links, directories and pipes from files", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-tar-" });
  const pack = async (name: string, format: string) => {
    const { success, stdout } = await new Deno.Command("tar", { args: ["-c", `--format=${format}`, "-C", dir, name] })
      .output();
    assert.ok(success);
    return stdout;
  };
  try {
    await Deno.writeTextFile(join(dir, "file"), "text\n");
    await Deno.symlink("/etc/passwd", join(dir, "link"));
    await Deno.mkdir(join(dir, "directory"));
    assert.ok((await new Deno.Command("mkfifo", { args: [join(dir, "pipe")] }).output()).success);
    // The extended format has a header of its own for the file's times.
    for (const format of ["ustar", "gnu", "posix"]) {
      const entry = await firstOfTar(pieces(await pack("file", format)), 100);
      assert.ok(entry.kind === "file", format);
      assert.equal(decode(entry.data), "text\n");
      for (const name of ["link", "directory", "pipe"]) {
        assert.deepEqual(
          await firstOfTar(pieces(await pack(name, format)), 100),
          { kind: "other" },
          `${name} ${format}`,
        );
      }
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

const damaged = (at: number, text: string) => {
  const bytes = archived("x");
  bytes.set(new TextEncoder().encode(text), at);
  return bytes;
};
for (
  const [name, bytes, says] of [
    ["nothing", new Uint8Array(0), /ends too soon/],
    ["half a header", archived("x").slice(0, 300), /ends too soon/],
    ["half a file", archived("x".repeat(600)).slice(0, 1_000), /ends too soon/],
    ["something else", new Uint8Array(1_024).fill(7), /is none/],
    ["a size that is no number", damaged(124, "-1"), /senseless size/],
    ["a header without end", damaged(124, "77777777777\0".padEnd(32, " ") + "x"), /too large/],
  ] as const
) {
  Deno.test(`firstOfTar() throws at ${name}`, async () => {
    await assert.rejects(firstOfTar(pieces(bytes), 2_000), says);
  });
}

Deno.test("firstOfTar() takes a size that is written in binary for too large", async () => {
  const bytes = archived("x");
  bytes[124] = 0x80;
  assert.deepEqual(await firstOfTar(pieces(bytes), 1_000), { kind: "large" });
});
