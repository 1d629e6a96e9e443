/** Secrets on record: setting, removing, and tasks that name them. */
import assert from "node:assert/strict";
import { TestWorld } from "./support.ts";

const set = (world: TestWorld, name: string, sealed = "sealed") =>
  world.input({ kind: "setSecret", name, sealed }).reply;

Deno.test("a new value raises the revision; events tell the name alone", () => {
  const world = new TestWorld();
  set(world, "DB", "sealed-1");
  world.wallMs += 5;
  set(world, "DB", "sealed-2");
  const { revision, sealed, createdMs, updatedMs } = world.state.secrets.get("DB")!;
  assert.deepEqual([revision, sealed, updatedMs - createdMs], [2, "sealed-2", 5]);
  const told = [...world.state.events.values()].map(({ message }) => message);
  assert.deepEqual(told, ["secret DB was set (revision 1)", "secret DB was set (revision 2)"]);
});

Deno.test("a task that names a secret which is not there is refused, and nothing is kept of it", () => {
  const world = new TestWorld();
  assert.deepEqual(world.submit("web", { secrets: ["DB"] }).reply, {
    kind: "conflict",
    code: "secretMissing",
    message: "there is no secret DB; set it with  ormen secret set DB",
  });
  assert.equal(world.state.sails.size, 0);
});

Deno.test("a secret that a living task needs is removed by force only", () => {
  const world = new TestWorld();
  set(world, "DB");
  world.hello("n1", { abilities: ["secrets"] });
  world.submit("web", { secrets: { DB: { file: "/run/db" } } });
  const remove = (force: boolean) => world.input({ kind: "removeSecret", name: "DB", force }).reply;
  assert.match(JSON.stringify(remove(false)), /conflict.*task web uses the secret DB/);
  world.report("n1", "web-1", "completed", { cause: "exited", observed: { exitCode: 0 } });
  assert.deepEqual(remove(false), { kind: "done", message: "secret DB was removed" });
  assert.deepEqual(remove(false), { kind: "notFound", message: "there is no secret DB" });
});

Deno.test("a node whose sailor knows nothing of secrets is given no task with them", () => {
  const world = new TestWorld();
  set(world, "DB");
  world.hello("old");
  world.submit("web", { secrets: ["DB"] });
  world.submit("plain");
  assert.deepEqual([world.sail("web").state, world.sail("plain").state], ["pending", "scheduled"]);
  world.hello("new", { abilities: ["secrets"] });
  assert.equal(world.attempt("web-1").nodeId, "new");
});
