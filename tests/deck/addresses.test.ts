/** Who is told where a service answers: watchers, and the nodes of tasks that bind it. */
import assert from "node:assert/strict";
import { createAddresses } from "../../lib/deck/addresses.ts";
import type { DeckMessage } from "../../lib/messages/session.ts";
import { ServiceRig } from "../core/service/rig.ts";
import { spec } from "../core/support.ts";

/** The rig's state as readers see it, told after each of its decisions. */
function told(rig: ServiceRig) {
  const messages: { nodeId: string; message: DeckMessage }[] = [];
  const addresses = createAddresses({
    committed: rig.state,
    tell: (nodeId, message) => void messages.push({ nodeId, message }),
  });
  let seen = rig.drafts.length;
  const publish = () => {
    for (; seen < rig.drafts.length; seen++) addresses.onChanges(rig.drafts[seen].changes);
  };
  return { addresses, messages, publish };
}

function deployed(): ServiceRig {
  const rig = new ServiceRig();
  rig.apply({ task: { image: "web:1" } });
  rig.ended();
  return rig;
}

Deno.test("a watcher gets the whole list at each change, once, and undefined when the service is gone", () => {
  const rig = deployed();
  const { addresses, publish } = told(rig);
  const lists: (number | undefined)[] = [];
  const watching = addresses.watch("web", (list) => lists.push(list?.addresses.length));
  rig.input({ kind: "scaleService", name: "web", replicas: 2 });
  publish();
  assert.deepEqual(lists, [2]);
  rig.run(5_000);
  publish();
  assert.deepEqual(lists, [2], "the end of one that had left the list is no news");
  rig.input({ kind: "removeService", name: "web" });
  publish();
  rig.run(5_000);
  publish();
  assert.deepEqual(lists, [2, 0, undefined]);
  watching.close();
});

Deno.test("a task that binds is given the list with its assignment, and its node hears of each change", () => {
  const rig = deployed();
  const { addresses, messages, publish } = told(rig);
  const bind = [{ variable: "WEB", service: "web" }, { variable: "DB", service: "db" }];
  rig.input({
    kind: "submit",
    sailId: "client",
    spec: { ...spec({ name: "client" }), bind },
    original: null,
    originalEventId: null,
  });
  publish();
  const { nodeId } = rig.state.attempts.get("client-1")!;
  const base = {
    attemptId: "client-1",
    sailId: "client",
    number: 1,
    desired: "run" as const,
    graceMs: 0,
    known: false,
    spec: { ...spec(), bind },
  };
  const { services } = addresses.fill(base);
  assert.equal(services!.web.length, 3);
  assert.deepEqual(services!.db, []);
  assert.equal(addresses.fill({ ...base, spec: spec() }).services, undefined);
  rig.input({ kind: "scaleService", name: "web", replicas: 1 });
  publish();
  const changes = messages.filter(({ message }) => message.kind === "services");
  assert.deepEqual(changes.map((each) => each.nodeId), [nodeId]);
  const [{ message }] = changes;
  assert.deepEqual(message.kind === "services" && Object.keys(message.services), ["web"]);
  assert.equal(message.kind === "services" && message.services.web.length, 1);
  // Once it has ended nobody is told any more.
  rig.input({ kind: "stop", sailId: "client", graceMs: 0 });
  rig.run(2_000);
  publish();
  messages.length = 0;
  rig.input({ kind: "scaleService", name: "web", replicas: 3 });
  rig.run(5_000);
  publish();
  assert.deepEqual(messages, []);
});

Deno.test("a deck that starts knows who binds what", () => {
  const rig = deployed();
  rig.input({
    kind: "submit",
    sailId: "client",
    spec: { ...spec({ name: "client" }), bind: [{ variable: "WEB", service: "web" }] },
    original: null,
    originalEventId: null,
  });
  const { messages, publish } = told(rig);
  rig.input({ kind: "scaleService", name: "web", replicas: 2 });
  publish();
  assert.equal(messages.length, 1);
});

Deno.test("replicas that were healthy when their nodes fell silent are listed as long as no other is left", () => {
  const rig = deployed();
  for (const { id } of rig.nodes) rig.silence(id);
  rig.until("all are unknown", () => rig.replicas().every((each) => each.endsWith("unknown")));
  assert.equal(rig.addresses().length, 3);
  rig.revive("n1");
  assert.equal(rig.addresses().length, 1);
});
