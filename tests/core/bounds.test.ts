/** What a sailor's operator allows, judged on paths as they are written and on where they lead. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Bounds, PathView } from "../../lib/core/bounds.ts";
import { ENGINE_SOCKETS, isUnder, NOTHING_ALLOWED, overstepOf } from "../../lib/core/bounds.ts";
import type { TaskSpec } from "../../lib/core/documents/task.ts";
import { spec, TestWorld } from "./support.ts";
import { choose } from "../../lib/core/rudder/rudder.ts";
import { SCHEDULERS } from "../../lib/core/rudder/schedulers.ts";

const allow = (...binds: string[]): Bounds => ({ binds, hostNetwork: false });
const bind = (source: string) => spec({ volumes: [`${source}:/in`] });
const real = (links: Record<string, string>): PathView => ({
  realOf: (path) => links[path] ?? path,
  sockets: ["/run/docker.sock"],
  isReal: true,
});

const CASES: readonly { name: string; spec: TaskSpec; bounds: Bounds; view?: PathView; kind: string | undefined }[] = [
  { name: "a task without binds", spec: spec(), bounds: NOTHING_ALLOWED, kind: undefined },
  { name: "a named volume", spec: bind("data"), bounds: NOTHING_ALLOWED, kind: undefined },
  { name: "a bind where nothing is allowed", spec: bind("/srv"), bounds: NOTHING_ALLOWED, kind: "bind" },
  { name: "the allowed path itself", spec: bind("/srv"), bounds: allow("/srv"), kind: undefined },
  { name: "what lies under it", spec: bind("/srv/a/b"), bounds: allow("/srv"), kind: undefined },
  { name: "what lies above it", spec: bind("/srv"), bounds: allow("/srv/a"), kind: "bind" },
  { name: "a name that begins alike", spec: bind("/srv2"), bounds: allow("/srv"), kind: "bind" },
  { name: "anything under /", spec: bind("/etc"), bounds: allow("/"), kind: undefined },
  {
    name: "the second of two binds",
    spec: spec({ volumes: ["/srv:/a", "/etc:/b"] }),
    bounds: allow("/srv"),
    kind: "bind",
  },
  {
    name: "a link that leads out",
    spec: bind("/srv/x"),
    bounds: allow("/srv"),
    view: real({ "/srv/x": "/etc" }),
    kind: "bind",
  },
  {
    name: "a link that leads in",
    spec: bind("/x"),
    bounds: allow("/srv"),
    view: real({ "/x": "/srv/x" }),
    kind: undefined,
  },
  {
    name: "a link to a place with a colon",
    spec: bind("/srv/x"),
    bounds: allow("/srv"),
    view: real({ "/srv/x": "/srv/a:/etc" }),
    kind: "bind",
  },
  {
    name: "the socket by its directory's leave",
    spec: bind("/run/docker.sock"),
    bounds: allow("/run"),
    kind: "socket",
  },
  {
    name: "the socket by its own",
    spec: bind("/run/docker.sock"),
    bounds: allow("/run/docker.sock"),
    kind: undefined,
  },
  {
    name: "a link to the socket",
    spec: bind("/srv/s"),
    bounds: allow("/srv", "/run"),
    view: real({ "/srv/s": "/run/docker.sock" }),
    kind: "socket",
  },
  {
    name: "a directory with the socket",
    spec: bind("/run"),
    bounds: allow("/run"),
    view: real({}),
    kind: "socket",
  },
  { name: "all of the host", spec: bind("/"), bounds: allow("/"), view: real({}), kind: "socket" },
  {
    name: "all of the host, the socket named too",
    spec: bind("/"),
    bounds: allow("/", "/run/docker.sock"),
    view: real({}),
    kind: undefined,
  },
  { name: "the host's network", spec: spec({ network: "host" }), bounds: allow("/"), kind: "hostNetwork" },
  {
    name: "the host's network, allowed",
    spec: spec({ network: "host" }),
    bounds: { binds: [], hostNetwork: true },
    kind: undefined,
  },
  { name: "a network of the Engine", spec: spec({ network: "inner" }), bounds: NOTHING_ALLOWED, kind: undefined },
  {
    name: "a program of the host, which mounts nothing",
    spec: spec({ runtime: "process", cmd: ["x"], volumes: ["/etc:/in"], network: "host" }),
    bounds: NOTHING_ALLOWED,
    kind: undefined,
  },
];
for (const c of CASES) {
  Deno.test(`overstepOf() ${c.name}`, () => assert.equal(overstepOf(c.spec, c.bounds, c.view)?.kind, c.kind));
}

/** What a deck that was taken over may send: no schema has seen it. */
const FORGED: readonly (readonly [string, Record<string, unknown>])[] = [
  ["another container's network", { network: "container:web" }],
  ["a network that is no text", { network: ["host"] }],
  ["a path in a volume's name", { volumes: [{ source: "../etc", target: "/in", readOnly: true }] }],
  ["a relative path", { volumes: [{ source: "./etc", target: "/in", readOnly: true }] }],
  ["a bind hidden in a source", { volumes: [{ source: "/srv:/in:rw", target: "/x", readOnly: true }] }],
  ["a bind hidden in a target", { volumes: [{ source: "a", target: "/in:rshared", readOnly: true }] }],
  ["a source that is no text", { volumes: [{ source: ["/etc"], target: "/in", readOnly: true }] }],
];
for (const [name, change] of FORGED) {
  Deno.test(`overstepOf() refuses ${name}, whatever is allowed`, () => {
    const forged = { ...spec(), ...change } as TaskSpec;
    assert.equal(overstepOf(forged, { binds: ["/srv"], hostNetwork: true })?.kind, "malformed");
  });
}

Deno.test("overstepOf() admits a bind exactly when its real path lies under an allowed one and is no way to a socket", () => {
  const part = fc.constantFrom("a", "b", "run", "docker.sock");
  const path = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
  fc.assert(fc.property(path, path, fc.array(path, { maxLength: 3 }), (written, leads, binds) => {
    const got = overstepOf(bind(written), { binds, hostNetwork: false }, real({ [written]: leads }));
    const socket = "/run/docker.sock";
    const free = !isUnder(socket, leads) || binds.includes(socket);
    assert.equal(got === undefined, binds.some((b) => isUnder(leads, b)) && free);
  }));
});

Deno.test("where a link leads is told only of places that the operator has shown to tasks", () => {
  const view = real({ "/srv/x": "/root/secret", "/y": "/root/secret" });
  assert.deepEqual(overstepOf(bind("/srv/x"), allow("/srv"), view), {
    kind: "bind",
    path: "/srv/x",
    real: "/root/secret",
  });
  assert.deepEqual(overstepOf(bind("/y"), allow("/srv"), view), { kind: "bind", path: "/y", real: "/y" });
});

Deno.test("the usual sockets are known by their name on a deck, which sees no files", () => {
  for (const socket of ENGINE_SOCKETS) assert.equal(overstepOf(bind(socket), allow("/"))?.kind, "socket");
});

Deno.test("choose() leaves out nodes that do not allow it, and says which flag would", () => {
  const w = new TestWorld();
  w.hello("n1", { allows: NOTHING_ALLOWED });
  w.hello("n2", { allows: allow("/srv") });
  w.hello("n3", { allows: NOTHING_ALLOWED });
  const answer = (task: TaskSpec) => {
    const choice = choose(w.state, SCHEDULERS.epvm, task, { turn: 0 });
    return choice.kind === "refused" ? choice.why : choice.candidate.mast.name;
  };
  assert.equal(answer(bind("/srv/a")), "n2");
  assert.equal(answer(bind("/etc")), "3 nodes: 3 do not allow the bind /etc (--allow-binds)");
  assert.equal(
    answer(spec({ network: "host" })),
    "3 nodes: 3 do not allow the host's network (--allow-host-network)",
  );
  // A sailor of an earlier version does not say: it is asked, as ever.
  w.hello("n4");
  assert.equal(answer(bind("/etc")), "n4");
  assert.equal(w.state.masts.get("n4")!.allows, undefined);
});
