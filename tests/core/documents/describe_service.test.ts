/** The way back from a service to its document, and what differs between two services. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { describeService, serviceDifferences } from "../../../lib/core/documents/describe_service.ts";
import { serviceDocument } from "../../../lib/core/documents/service.ts";
import type { ServiceDocument } from "../../../lib/core/documents/service.ts";
import { formatDuration } from "../../../lib/core/documents/units.ts";

const specOf = (text: string) => serviceDocument.parse(parse(text));
const BARE = "{ name: web, task: { image: i } }";

const SHORTEST: readonly (readonly [string, string])[] = [
  [BARE, "{ name: web, replicas: 1, task: { image: i } }"],
  [
    "{ name: web, mode: global, task: { image: i, restart: always } }",
    "{ name: web, mode: global, task: { image: i } }",
  ],
  [
    "{ name: web, replicas: 3, task: { image: i, restart: no } }",
    "{ name: web, replicas: 3, task: { image: i, restart: no } }",
  ],
  [
    "{ name: web, replicas: 0, task: { image: i }, update: { strategy: rolling, maxParallel: 1, monitor: 10s } }",
    "{ name: web, replicas: 0, task: { image: i } }",
  ],
  [
    '{ name: web, replicas: 1, task: { image: i }, ports: [80], constraints: ["node.id == a"], spread: node.name }',
    '{ name: web, replicas: 1, task: { image: i, ports: ["80"], constraints: ["node.id == a"] }, spread: [node.name] }',
  ],
  [
    '{ name: web, replicas: 1, task: { image: i }, ports: ["80:80"] }',
    '{ name: web, replicas: 1, task: { image: i, ports: ["80:80"] } }',
  ],
  [
    '{ name: web, replicas: 1, task: { image: i, ports: ["80:80"] }, update: { order: stop-first, maxUnavailable: 1 } }',
    '{ name: web, replicas: 1, task: { image: i, ports: ["80:80"] }, update: { order: stop-first } }',
  ],
  [
    "{ name: web, replicas: 1, task: { image: i }, update: { strategy: blueGreen, autoPromote: true } }",
    "{ name: web, replicas: 1, task: { image: i }, update: { strategy: blueGreen } }",
  ],
  [
    '{ name: web, replicas: 1, task: { image: i }, update: { analysis: { count: 4, http: { url: "http://h", method: GET } } } }',
    '{ name: web, replicas: 1, task: { image: i }, update: { analysis: { http: { url: "http://h" } } } }',
  ],
];
for (const [written, described] of SHORTEST) {
  Deno.test(`describeService() leaves out what goes without saying: ${written}`, () => {
    assert.deepEqual(describeService(specOf(written)), parse(described));
  });
}

const duration = (min: number, max: number) => fc.integer({ min, max }).map(formatDuration);
const amount = (least: number) =>
  fc.oneof(fc.integer({ min: least, max: 9 }), fc.integer({ min: least, max: 100 }).map((n) => `${n}%`));
const analysis = fc.record({
  interval: duration(100, 60_000),
  count: fc.integer({ min: 5, max: 9 }),
  failureLimit: fc.integer({ min: 0, max: 3 }),
  http: fc.record({
    url: fc.constantFrom("http://${{ address }}/up", "https://h/${{ slot }}"),
    method: fc.constantFrom("GET" as const, "POST" as const),
    headers: fc.dictionary(fc.stringMatching(/^[a-z-]{1,5}$/), fc.constantFrom("", "${{ service }}", "x")),
    body: fc.constantFrom("", "${{ revision }}"),
    timeout: duration(10, 60_000),
    expect: fc.constantFrom("status == 200", "body.contains('ok')"),
  }, { requiredKeys: ["url"] }),
}, { requiredKeys: ["http"] });
const update = fc.record({
  strategy: fc.constantFrom("rolling" as const, "canary" as const, "blueGreen" as const, "recreate" as const),
  maxParallel: amount(1),
  order: fc.constantFrom("start-first" as const, "stop-first" as const),
  maxUnavailable: amount(0),
  minHealthyTime: duration(0, 200_000),
  healthyDeadline: duration(200_001, 400_000),
  progressDeadline: duration(400_001, 900_000),
  canary: amount(1),
  autoPromote: fc.boolean(),
  promoteDeadline: duration(0, 86_400_000),
  analysis,
  autoRevert: fc.boolean(),
  shutdownDelay: duration(0, 60_000),
  monitor: duration(0, 60_000),
}, { requiredKeys: ["healthyDeadline"] });
const task = fc.record({
  image: fc.constantFrom("i", "example/web:2"),
  ports: fc.constantFrom([80], ["8080:80"], ["8080:80", "81/udp"]),
  restart: fc.constantFrom("no", "always", "on-failure:3"),
  health: fc.constantFrom({ tcp: 80 }, { http: "/up", port: 80, retries: 2 }),
  env: fc.dictionary(fc.stringMatching(/^[A-Z]{1,3}$/), fc.string({ maxLength: 5 }).filter((s) => !s.includes("\0"))),
  bind: fc.constantFrom({ DB: "service/db" }),
  labels: fc.constantFrom({ team: "a" }),
}, { requiredKeys: ["image"] });
const documents = fc.record({
  name: fc.constantFrom("web", "api_2"),
  mode: fc.constantFrom("replicated" as const, "global" as const),
  replicas: fc.integer({ min: 0, max: 9 }),
  task,
  ports: fc.constantFrom([90], ["9000:90"]),
  labels: fc.constantFrom({ tier: "front" }),
  constraints: fc.constantFrom(["node.labels.zone == eu"]),
  spread: fc.constantFrom("node.name", ["node.labels.zone", "node.id"]),
  update,
}, { requiredKeys: ["name", "task"] }) as fc.Arbitrary<ServiceDocument>;

Deno.test("describeService() gives a document that parses into the same service, notes and all", () => {
  let judged = 0;
  fc.assert(
    fc.property(documents, (document) => {
      const parsed = serviceDocument.safeParse(document);
      // Some of them contradict themselves.
      if (!parsed.success) return;
      judged++;
      const described = JSON.parse(JSON.stringify(describeService(parsed.data)));
      assert.deepEqual(serviceDocument.parse(described), parsed.data, JSON.stringify(described));
    }),
    { numRuns: 500 },
  );
  assert.ok(judged > 100, `only ${judged} documents were of a service`);
});

const DIFFERENCES: readonly (readonly [string, string, readonly (readonly [string, unknown, unknown])[]])[] = [
  [BARE, BARE, []],
  [BARE, "{ name: web, task: { image: i }, update: { maxParallel: 1 } }", []],
  [BARE, "{ name: web, task: { image: j } }", [["task.image", "i", "j"]]],
  [BARE, "{ name: web, replicas: 3, task: { image: i } }", [["replicas", 1, 3]]],
  [BARE, "{ name: web, task: { image: i }, update: { maxParallel: 25%, autoRevert: false } }", [
    ["update.maxParallel", 1, "25%"],
    ["update.autoRevert", true, false],
  ]],
  [BARE, "{ name: web, task: { image: i, restart: no, cpu: 1 } }", [
    ["task.cpu", undefined, 1],
    ["task.restart", undefined, "no"],
  ]],
  [BARE, "{ name: web, mode: global, task: { image: i } }", [
    ["mode", "replicated", "global"],
    ["replicas", 1, undefined],
  ]],
  [
    "{ name: web, task: { image: i, env: { A: a, B: b } }, labels: { x: y } }",
    "{ name: web, task: { image: i, env: { B: b, A: a } } }",
    [["task.labels", { x: "y" }, undefined]],
  ],
  [BARE, '{ name: web, task: { image: i }, ports: ["80:80"], spread: node.id }', [
    ["task.ports", undefined, ["80:80"]],
    ["spread", [], ["node.id"]],
    ["update.order", "start-first", "stop-first"],
    ["update.maxUnavailable", 0, 1],
  ]],
  [BARE, '{ name: web, task: { image: i }, update: { analysis: { http: { url: "http://h" } } } }', [
    ["update.analysis", undefined, { http: { url: "http://h" } }],
  ]],
];
for (const [before, after, differences] of DIFFERENCES) {
  Deno.test(`serviceDifferences() from ${before} to ${after}`, () => {
    const found = serviceDifferences(specOf(before), specOf(after)).map(({ key, from, to }) => [key, from, to]);
    assert.deepEqual(
      new Map(found.map(([key, ...rest]) => [key, rest])),
      new Map(differences.map(([key, ...rest]) => [key, rest])),
    );
  });
}
