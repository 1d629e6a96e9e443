/** Sealing secrets: what opens them, and what does not. */
import assert from "node:assert/strict";
import { createSecretBox } from "../../lib/adapters/secret_box.ts";

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir();
  try {
    await body(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("a value is opened by whoever has the key, under its own name", () =>
  inDirectory(async (directory) => {
    const sealed = await createSecretBox(directory).seal("DB", "größe & 42");
    assert.equal(await createSecretBox(directory).open("DB", sealed), "größe & 42");
    await assert.rejects(createSecretBox(directory).open("OTHER", sealed), /OTHER was sealed with another key/);
    const changed = Uint8Array.fromBase64(sealed);
    changed[changed.length - 1] ^= 1;
    await assert.rejects(createSecretBox(directory).open("DB", changed.toBase64()), /sealed with another key/);
  }));

Deno.test("the same value is never sealed the same way twice, and the seal shows nothing of it", async () => {
  const box = createSecretBox(undefined);
  const [a, b] = await Promise.all([box.seal("DB", "plainly"), box.seal("DB", "plainly")]);
  assert.notEqual(a, b);
  assert.ok(!new TextDecoder("latin1").decode(Uint8Array.fromBase64(a)).includes("plainly"));
});

Deno.test("the key file is closed to others; one that is open, broken or gone is told", () =>
  inDirectory(async (directory) => {
    const path = `${directory}/secrets.key`;
    const sealed = await createSecretBox(directory).seal("DB", "value");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    await Deno.chmod(path, 0o644);
    await assert.rejects(
      createSecretBox(directory).open("DB", sealed),
      /can be read by others; close it with {2}chmod 600/,
    );
    await Deno.remove(path);
    await assert.rejects(createSecretBox(directory).open("DB", sealed), /secrets\.key, is not there; bring it back/);
    await Deno.writeTextFile(path, "nonsense", { mode: 0o600 });
    await assert.rejects(createSecretBox(directory).open("DB", sealed));
  }));
