import assert from "node:assert/strict";
import fc from "fast-check";
import { describeTask, taskDocument } from "../../lib/core/documents/task.ts";
import type { TaskDocument } from "../../lib/core/documents/task.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../lib/core/documents/units.ts";

const REFUSED: readonly { name: string; document: unknown; path: string }[] = [
  { name: "an unknown key", document: { name: "a", image: "i", imge: "x" }, path: "" },
  { name: "no image", document: { name: "a" }, path: "image" },
  { name: "a port out of range", document: { name: "a", image: "i", ports: ["70000:80"] }, path: "ports.0" },
  { name: "a host port twice", document: { name: "a", image: "i", ports: ["80:1", "80:2"] }, path: "ports" },
  { name: "a path with ..", document: { name: "a", image: "i", files: { "/a/../b": "x" } }, path: "files./a/../b" },
  {
    name: "too many bytes of files",
    document: { name: "a", image: "i", files: { "/a": "x".repeat(49_153) } },
    path: "files",
  },
  { name: "a bare number as duration", document: { name: "a", image: "i", grace: "5" }, path: "grace" },
  { name: "two probes", document: { name: "a", image: "i", health: { tcp: 1, exec: ["x"] } }, path: "health" },
  {
    name: "an http probe without any port",
    document: { name: "a", image: "i", health: { http: "/" } },
    path: "health",
  },
  { name: "a restart policy that is none", document: { name: "a", image: "i", restart: "sometimes" }, path: "restart" },
  { name: "NaN as cpu", document: { name: "a", image: "i", cpu: NaN }, path: "cpu" },
  { name: "a relative bind", document: { name: "a", image: "i", volumes: ["./x:/y"] }, path: "volumes.0" },
  { name: "a name with a slash", document: { name: "a/b", image: "i" }, path: "name" },
  { name: "a process without cmd", document: { name: "a", runtime: "process" }, path: "cmd" },
  {
    name: "a binding to what is no service",
    document: { name: "a", image: "i", bind: { WEB: "web" } },
    path: "bind.WEB",
  },
  {
    name: "a binding under a name in small letters",
    document: { name: "a", image: "i", bind: { web: "service/web" } },
    path: "bind.web",
  },
  {
    name: "a binding whose variable is said by env too",
    document: { name: "a", image: "i", env: { WEB_ADDR: "x" }, bind: { WEB: "service/web" } },
    path: "bind.WEB",
  },
  {
    name: "a binding whose list is said by env too",
    document: { name: "a", image: "i", env: { WEB_ADDRS: "x" }, bind: { WEB: "service/web" } },
    path: "bind.WEB",
  },
];

for (const c of REFUSED) {
  Deno.test(`taskDocument refuses ${c.name}`, () => {
    const result = taskDocument.safeParse(c.document);
    assert.equal(result.success, false);
    assert.equal(result.error!.issues[0].path.join("."), c.path);
  });
}

Deno.test("taskDocument reads every key of the documented example", () => {
  const spec = taskDocument.parse({
    name: "web",
    image: "example/web:1",
    entrypoint: ["sh"],
    cmd: ["-c", "serve"],
    env: { MODE: "prod", N: 3 },
    cpu: 0.5,
    memory: "64MiB",
    disk: "1GiB",
    ports: ["8080:7777", "9000/udp", "127.0.0.1:81:80", 90],
    volumes: ["data:/var/lib/web", "/srv/conf:/conf:ro"],
    restart: "on-failure:3",
    health: { http: "/health", port: 7777, interval: "5s", timeout: "1s", retries: 3, startPeriod: "0s" },
    labels: { team: "a" },
    constraints: ["node.labels.zone == eu", "node.name != old"],
    stopSignal: "SIGTERM",
    grace: "10s",
    user: "1000",
    workdir: "/app",
    network: "bridge",
    pull: "missing",
    runtime: "docker",
    maxRestarts: 3,
    reschedule: true,
    files: { "/etc/app.conf": "text", "/run.sh": { content: "x", mode: "0755" } },
    bind: { WEB: "service/web", API_2: "service/api" },
  });
  assert.equal(spec.memoryBytes, 64 * 2 ** 20);
  assert.equal(spec.env.N, "3");
  assert.deepEqual(spec.ports[2], { container: 80, host: 81, hostIp: "127.0.0.1", protocol: "tcp" });
  assert.deepEqual(spec.ports[3], { container: 90, host: null, hostIp: null, protocol: "tcp" });
  assert.deepEqual(spec.volumes[1], { source: "/srv/conf", target: "/conf", readOnly: true });
  assert.deepEqual(spec.constraints[0], { attribute: "node.labels.zone", operator: "==", value: "eu" });
  assert.equal(spec.files[1].mode, 0o755);
  assert.deepEqual(spec.bind, [{ variable: "WEB", service: "web" }, { variable: "API_2", service: "api" }]);
});

const name = fc.stringMatching(/^[a-z][a-z0-9_.-]{0,20}$/);
const documents: fc.Arbitrary<TaskDocument> = fc.record({
  name,
  image: name,
  cmd: fc.array(fc.string({ maxLength: 20 }).filter((s) => !s.includes("\0")), { maxLength: 4 }),
  env: fc.dictionary(fc.stringMatching(/^[A-Z_]{1,8}$/), fc.string({ maxLength: 20 }).filter((s) => !s.includes("\0"))),
  cpu: fc.integer({ min: 1, max: 64_000 }).map((n) => n / 1000),
  memory: fc.integer({ min: 6 * 2 ** 20, max: 2 ** 40 }).map(formatSize),
  ports: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 5 }).map((ps) => ps.map((p) => `${p}:${p}`)),
  restart: fc.constantFrom("no", "always", "unless-stopped", "on-failure", "on-failure:7"),
  health: fc.constantFrom({ tcp: 80 }, { exec: ["true"], interval: "250ms" }, { http: "/x", port: 1, retries: 9 }),
  grace: fc.integer({ min: 0, max: 80_000_000 }).map(formatDuration),
  reschedule: fc.constantFrom(true, false, "lost" as const),
  files: fc.dictionary(fc.stringMatching(/^\/[a-z]{1,8}$/), fc.string({ maxLength: 50 })),
  bind: fc.dictionary(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,8}$/), name.map((n) => `service/${n.replaceAll(".", "-")}`)),
}, { requiredKeys: ["name", "image"] }).map((d) => ({ ...d } as TaskDocument));

Deno.test("describeTask() gives a document that parses into the same specification", () => {
  fc.assert(fc.property(documents, (document) => {
    const spec = taskDocument.parse(document);
    assert.deepEqual(taskDocument.parse(JSON.parse(JSON.stringify(describeTask(spec)))), spec);
  }));
});

Deno.test("a task that binds nothing says nothing of it", () => {
  assert.ok(!("bind" in taskDocument.parse({ name: "a", image: "i", bind: {} })));
  assert.ok(!("bind" in describeTask(taskDocument.parse({ name: "a", image: "i" }))));
});

Deno.test("parseSize() and parseDuration() read back what is formatted", () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 45 }), (n) => {
    assert.equal(parseSize(formatSize(n)), n);
    assert.equal(parseDuration(formatDuration(n)), n);
  }));
});

for (const text of ["", "x", "5", "-1s", "1 s", "s", "1e3s", "Infinitys"]) {
  Deno.test(`parseDuration() refuses ${JSON.stringify(text)}`, () => assert.equal(parseDuration(text), undefined));
}
for (const text of ["", "x", "-1", "1XB", "MiB", "NaN", "1e9"]) {
  Deno.test(`parseSize() refuses ${JSON.stringify(text)}`, () => assert.equal(parseSize(text), undefined));
}
