import assert from "node:assert/strict";
import { realPathOf } from "../../lib/adapters/real_path.ts";

async function inDirectory(test: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    await Deno.mkdir(`${dir}/a/b`, { recursive: true });
    await Deno.symlink("/etc", `${dir}/a/out`);
    await Deno.symlink("../a/b", `${dir}/a/in`);
    await Deno.symlink(`${dir}/nowhere/x`, `${dir}/a/dangling`);
    await Deno.symlink("loop", `${dir}/a/loop`);
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("realPathOf() follows links and .., also before what does not exist yet", () =>
  inDirectory(async (dir) => {
    assert.equal(await realPathOf(`${dir}/a/b`), `${dir}/a/b`);
    assert.equal(await realPathOf(`${dir}/a/b/`), `${dir}/a/b`);
    assert.equal(await realPathOf(`${dir}/a/in/../../a/b`), `${dir}/a/b`);
    assert.equal(await realPathOf(`${dir}/a/out/..`), "/");
    assert.equal(await realPathOf(`${dir}/a/in/new/er`), `${dir}/a/b/new/er`);
    assert.equal(await realPathOf(`${dir}/a/out/ormen-is-not-there`), "/etc/ormen-is-not-there");
  }));

Deno.test("realPathOf() does not guess", () =>
  inDirectory(async (dir) => {
    // The Engine would make what the link names.
    await assert.rejects(realPathOf(`${dir}/a/dangling`), /a\/dangling is a link to what does not exist$/);
    await assert.rejects(realPathOf(`${dir}/a/dangling/y`), /a\/dangling is a link to what does not exist$/);
    await assert.rejects(realPathOf(`${dir}/new/../../../etc`), /new\/\.\.\/\.\. does not exist$/);
    await assert.rejects(realPathOf(`${dir}/a/loop`), /a\/loop cannot be resolved/);
  }));
