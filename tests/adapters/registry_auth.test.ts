import assert from "node:assert/strict";
import { credentialsFor, registryOf } from "../../lib/adapters/registry_auth.ts";

const HUB = "https://index.docker.io/v1/";

const CASES = [
  ["nginx", HUB],
  ["nginx:1.27", HUB],
  ["user/app:1", HUB],
  ["docker.io/user/app", HUB],
  ["index.docker.io/user/app", HUB],
  ["localhost/app", "localhost"],
  ["localhost:5000/app:2", "localhost:5000"],
  ["registry.example/team/app@sha256:0", "registry.example"],
] as const;
for (const [image, registry] of CASES) {
  Deno.test(`registryOf() ${image}`, () => assert.equal(registryOf(image), registry));
}

async function withFile(text: string, fn: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, text);
    await fn(path);
  } finally {
    await Deno.remove(path);
  }
}

/** As `docker login` writes it: base64 of the UTF-8 text. */
function authOf(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

Deno.test("credentialsFor() takes both forms and both spellings of a registry", async () => {
  const config = {
    auths: {
      [HUB]: { auth: authOf("me:pä:ss") },
      "https://registry.example": { username: "you", password: "word" },
      "kept.example": {},
    },
  };
  await withFile(JSON.stringify(config), async (path) => {
    assert.deepEqual(await credentialsFor("user/app", path), { username: "me", password: "pä:ss", serveraddress: HUB });
    const { username, password } = (await credentialsFor("registry.example/app", path))!;
    assert.deepEqual([username, password], ["you", "word"]);
    assert.equal(await credentialsFor("other.example/app", path), undefined);
    await assert.rejects(credentialsFor("kept.example/app", path), /credential helpers are not supported/);
  });
});

Deno.test("credentialsFor() names the file that cannot be used, and none of its content", async () => {
  await assert.rejects(credentialsFor("a/b", "/no/such/file"), { code: "failed", message: /\/no\/such\/file/ });
  await withFile("{", (path) => assert.rejects(credentialsFor("a/b", path), { code: "failed" }));
  await withFile("{}", async (path) => assert.equal(await credentialsFor("a/b", path), undefined));
});
