/** Tasks that bind services: variables at their start, files as long as they run, across a restart of the sailor. */
import assert from "node:assert/strict";
import type { BindingFiles } from "../../lib/contracts/binding_files.ts";
import { createBindingFiles } from "../../lib/adapters/binding_files.ts";
import { bindingTexts, bindingVariables } from "../../lib/sailor/bindings.ts";
import { assignment, nameOf, Rig, spec } from "./support/rig.ts";

const BIND = [{ variable: "WEB", service: "web" }, { variable: "DB", service: "db" }];
const services = { web: ["10.0.0.1:8080", "localhost:8081"], db: [] };
const binding = (more: Parameters<typeof assignment>[1] = {}) =>
  assignment("a", { spec: { ...spec(), bind: BIND }, services, ...more });

class Files implements BindingFiles {
  readonly files = new Map<string, string>();
  dirOf = (attemptId: string) => `/data/bindings/${attemptId}`;
  write(attemptId: string, files: Readonly<Record<string, string>>) {
    for (const [name, text] of Object.entries(files)) this.files.set(`${attemptId}/${name}`, text);
    return Promise.resolve();
  }
  remove(attemptId: string) {
    for (const key of [...this.files.keys()]) if (key.startsWith(`${attemptId}/`)) this.files.delete(key);
    return Promise.resolve();
  }
}

Deno.test("variables and texts: the first, all, and nothing; loopback is the machine's own", () => {
  assert.deepEqual(bindingVariables(BIND, services, "docker"), {
    WEB_ADDR: "10.0.0.1:8080",
    WEB_ADDRS: "10.0.0.1:8080,host.docker.internal:8081",
    DB_ADDR: "",
    DB_ADDRS: "",
  });
  assert.deepEqual(bindingTexts(BIND, services, "docker"), {
    web: "10.0.0.1:8080\nhost.docker.internal:8081\n",
    db: "",
  });
  assert.equal(bindingTexts(BIND, services, "process").web, "10.0.0.1:8080\nlocalhost:8081\n");
  assert.equal(bindingVariables(BIND, { web: ["127.0.0.9:1"] }, "docker").WEB_ADDR, "host.docker.internal:1");
  assert.equal(bindingVariables(BIND, { web: ["[::1]:1"] }, "docker").WEB_ADDR, "host.docker.internal:1");
  assert.equal(bindingVariables(BIND, { web: ["127.example:1"] }, "docker").WEB_ADDR, "127.example:1");
});

Deno.test("a container is made with them, and the files follow what the deck says", async () => {
  const rig = new Rig();
  const files = new Files();
  const deck = await rig.begin([binding()], { bindings: files });
  const made = rig.engine.container(nameOf("a")).spec;
  assert.deepEqual([made.env.WEB_ADDR, made.servicesDir], ["10.0.0.1:8080", "/data/bindings/a-1"]);
  assert.equal(files.files.get("a-1/web"), "10.0.0.1:8080\nhost.docker.internal:8081\n");
  deck.send({ kind: "services", services: { web: ["10.0.0.2:9"], other: ["x:1"] } });
  await rig.clock.settle();
  assert.deepEqual([...files.files], [["a-1/web", "10.0.0.2:9\n"], ["a-1/db", ""]]);
  await rig.end();
});

Deno.test("after a restart of the sailor the welcome brings them up to date", async () => {
  const rig = new Rig();
  const files = new Files();
  await rig.begin([binding()], { bindings: files });
  await rig.crash();
  await rig.boot({ bindings: files });
  const deck = await rig.connect();
  deck.welcome([binding({ known: true, services: { web: ["10.0.0.7:7"], db: ["10.0.0.8:8"] } })]);
  await rig.clock.settle();
  assert.deepEqual([...files.files.values()], ["10.0.0.7:7\n", "10.0.0.8:8\n"]);
  assert.equal(rig.engine.calls.filter((call) => call.startsWith("create")).length, 1);
  await rig.end();
});

Deno.test("one that was not made yet waits for the deck to say where its services are", async () => {
  const rig = new Rig();
  const files = new Files();
  const deck = await rig.begin([], { bindings: files });
  deck.assign([binding({ services: undefined })]);
  await rig.clock.settle();
  assert.equal(rig.engine.containers.size, 0);
  assert.match(deck.last("a").observed.message!, /waits for the addresses/);
  deck.assign([binding()]);
  await rig.clock.settle();
  assert.equal(rig.engine.containers.size, 1);
  await rig.end();
});

Deno.test("a sailor that keeps no such files refuses the task", async () => {
  const rig = new Rig();
  const deck = await rig.begin([binding()]);
  assert.deepEqual([deck.last("a").state, deck.last("a").observed.message], [
    "failed",
    "this sailor keeps no files for `bind`",
  ]);
  await rig.end();
});

Deno.test("files on disk are replaced whole, and go with their attempt", async () => {
  const root = await Deno.makeTempDir();
  try {
    const files = createBindingFiles(`${root}/bindings`);
    await files.write("a-1", { web: "one\n", db: "" });
    const before = await Deno.stat(`${files.dirOf("a-1")}/web`);
    await files.write("a-1", { web: "two\n" });
    const after = await Deno.stat(`${files.dirOf("a-1")}/web`);
    assert.equal(await Deno.readTextFile(`${files.dirOf("a-1")}/web`), "two\n");
    assert.notEqual(before.ino, after.ino);
    assert.deepEqual([...Deno.readDirSync(files.dirOf("a-1"))].map(({ name }) => name).sort(), ["db", "web"]);
    await files.remove("a-1");
    await files.remove("a-1");
    assert.deepEqual([...Deno.readDirSync(`${root}/bindings`)], []);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
