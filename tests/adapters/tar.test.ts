import assert from "node:assert/strict";
import { join } from "node:path";
import { tarOf } from "../../lib/adapters/tar.ts";

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
