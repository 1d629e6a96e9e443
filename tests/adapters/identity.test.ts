import assert from "node:assert/strict";
import { join } from "node:path";
import { loadIdentity } from "../../lib/adapters/identity.ts";

Deno.test("loadIdentity() keeps the id for ever, and the name until its operator says another", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-identity-" });
  let ids = 0;
  const random = { next: () => 0, uuid: () => `id-${++ids}` };
  const load = async (defaultName: string, name?: string) => {
    const { nodeId, name: kept } = await loadIdentity(dir, { random, defaultName, name });
    return { nodeId, name: kept };
  };
  try {
    assert.deepEqual(await load("host"), { nodeId: "id-1", name: "host" });
    assert.deepEqual(await load("renamed-host"), { nodeId: "id-1", name: "host" });
    assert.deepEqual(await load("host", "chosen"), { nodeId: "id-1", name: "chosen" });
    assert.deepEqual(await load("host"), { nodeId: "id-1", name: "chosen" });
    const path = join(dir, "identity.json");
    assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    for (
      const text of ["", "{", "{}", '{"nodeId":7,"name":"a"}', '{"nodeId":"a","name":"a","privateKey":"none"}']
    ) {
      await Deno.writeTextFile(path, text);
      // Another id would orphan everything that runs here.
      await assert.rejects(load("host"), (error: Error) => {
        assert.ok(error.message.startsWith(`cannot read the sailor's identity in ${path}: `), error.message);
        return true;
      });
      assert.equal(await Deno.readTextFile(path), text);
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("loadIdentity() keeps one key for ever, and gives one to an identity of a version that had none", async () => {
  const dir = await Deno.makeTempDir({ prefix: "ormen-identity-" });
  const random = { next: () => 0, uuid: () => "id" };
  const load = () => loadIdentity(dir, { random, defaultName: "host" });
  try {
    await Deno.writeTextFile(join(dir, "identity.json"), '{"nodeId":"old","name":"old"}');
    const first = await load();
    assert.deepEqual([first.nodeId, first.name], ["old", "old"]);
    assert.match(first.signer.publicKey, /^[A-Za-z0-9_-]{43}$/);
    assert.equal((await load()).signer.publicKey, first.signer.publicKey);
    assert.equal((await Deno.stat(join(dir, "identity.json"))).mode! & 0o777, 0o600);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
