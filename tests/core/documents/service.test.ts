/** The service document: what it is parsed into, what it refuses and where, and what it says of what it decided by itself. */
import assert from "node:assert/strict";
import { parse } from "yaml";
import { describeIssues } from "../../../lib/core/documents/issues.ts";
import { amountOf, serviceDocument, UPDATE_BYTES_MAX } from "../../../lib/core/documents/service.ts";
import type { ServiceSpec } from "../../../lib/core/documents/service.ts";
import { byteLength, SPEC_BYTES_MAX, taskDocument } from "../../../lib/core/documents/task.ts";

/** `web` with one task and what `keys` say, in YAML's flow style. */
const web = (keys: string, task = "image: i, health: { tcp: 80 }"): unknown =>
  parse(`{ name: web, task: { ${task} }${keys === "" ? "" : `, ${keys}`} }`);
const specOf = (keys: string, task?: string): ServiceSpec => serviceDocument.parse(web(keys, task));

/** Each as `path: detail`. */
function problemsOf(document: unknown): string[] {
  const result = serviceDocument.safeParse(document);
  if (result.success) return [];
  return describeIssues(serviceDocument, result.error.issues).map(({ path, detail }) => `${path.join(".")}: ${detail}`);
}

Deno.test("serviceDocument fills in every default", () => {
  const spec = specOf("");
  assert.deepEqual({ ...spec, task: null }, {
    name: "web",
    mode: "replicated",
    replicas: 1,
    task: null,
    spread: [],
    notes: [],
    update: {
      strategy: "rolling",
      maxParallel: { kind: "count", count: 1 },
      order: "start-first",
      maxUnavailable: { kind: "count", count: 0 },
      minHealthyMs: 10_000,
      healthyDeadlineMs: 300_000,
      progressDeadlineMs: 600_000,
      canary: { kind: "count", count: 1 },
      autoPromote: false,
      promoteDeadlineMs: 86_400_000,
      analysis: null,
      autoRevert: true,
      shutdownDelayMs: 5_000,
      monitorMs: 10_000,
    },
  });
  assert.deepEqual(spec.task, {
    ...taskDocument.parse({ name: "web", image: "i", health: { tcp: 80 }, restart: "always" }),
    reschedule: true,
  });
});

Deno.test("serviceDocument reads every key", () => {
  const spec = specOf(
    `replicas: 6, spread: node.labels.zone, constraints: ["node.labels.ssd == yes"], ports: [81], labels: { team: a },
     update: { strategy: canary, maxParallel: 25%, order: stop-first, maxUnavailable: 50%, minHealthyTime: 1s,
       healthyDeadline: 2s, progressDeadline: 3s, canary: 2, autoPromote: true, promoteDeadline: 4s, autoRevert: false,
       shutdownDelay: 6s, monitor: 7s,
       analysis: { interval: 8s, count: 9, failureLimit: 2, http: { url: "http://\${{ address }}/up", method: POST,
         headers: { X-Slot: "\${{ slot }}" }, body: "\${{ service }}@\${{ revision }}", timeout: 10s, expect: "body == 'ok'" } } }`,
    'image: i, health: { tcp: 80 }, restart: no, constraints: ["node.name != old"], ports: [80], labels: { own: b }',
  );
  assert.deepEqual([spec.replicas, spec.spread, spec.notes], [6, ["node.labels.zone"], []]);
  assert.deepEqual(spec.update, {
    strategy: "canary",
    maxParallel: { kind: "percent", percent: 25 },
    order: "stop-first",
    maxUnavailable: { kind: "percent", percent: 50 },
    minHealthyMs: 1_000,
    healthyDeadlineMs: 2_000,
    progressDeadlineMs: 3_000,
    canary: { kind: "count", count: 2 },
    autoPromote: true,
    promoteDeadlineMs: 4_000,
    analysis: {
      intervalMs: 8_000,
      count: 9,
      failureLimit: 2,
      http: {
        url: "http://${{ address }}/up",
        method: "POST",
        headers: { "X-Slot": "${{ slot }}" },
        body: "${{ service }}@${{ revision }}",
        timeoutMs: 10_000,
        expect: "body == 'ok'",
      },
    },
    autoRevert: false,
    shutdownDelayMs: 6_000,
    monitorMs: 7_000,
  });
  const { constraints, ports, labels, restart, reschedule } = spec.task;
  assert.deepEqual(constraints.map(({ attribute }) => attribute), ["node.name", "node.labels.ssd"]);
  assert.deepEqual(ports.map(({ container }) => container), [80, 81]);
  assert.deepEqual(labels, { own: "b", team: "a" });
  assert.deepEqual([restart, reschedule], [{ kind: "no" }, true]);
});

Deno.test("serviceDocument: defaults that follow from other keys", () => {
  assert.deepEqual(specOf("mode: global").replicas, 0);
  assert.equal(specOf("update: { strategy: blueGreen }").update.autoPromote, true);
  assert.equal(specOf("update: { strategy: blueGreen, autoPromote: false }").update.autoPromote, false);
  assert.equal(specOf("update: { strategy: canary }").update.autoPromote, false);
  assert.deepEqual(specOf("update: { order: stop-first }").update.maxUnavailable, { kind: "count", count: 1 });
  assert.deepEqual(specOf("spread: [node.labels.zone, node.name]").spread, ["node.labels.zone", "node.name"]);
  assert.deepEqual(specOf('update: { analysis: { http: { url: "http://h" } } }').update.analysis, {
    intervalMs: 15_000,
    count: 4,
    failureLimit: 0,
    http: {
      url: "http://h",
      method: "GET",
      headers: {},
      body: null,
      timeoutMs: 10_000,
      expect: "status >= 200 && status < 300",
    },
  });
});

const NOTES: readonly (readonly [string, string, string | undefined, readonly string[], string?])[] = [
  ["without a health check", "update: { minHealthyTime: 1500ms }", "image: i", [
    "it has no health check: a replica counts as healthy once it has run for 1500ms",
  ], "start-first"],
  ["with a static host port", "", 'image: i, health: { tcp: 80 }, ports: ["8080:80"]', [
    "order is stop-first: host port 8080 can be held by one replica of a node at a time",
  ], "stop-first"],
  ["with a static host port beside the task", 'ports: ["8080:80"]', undefined, [
    "order is stop-first: host port 8080 can be held by one replica of a node at a time",
  ], "stop-first"],
  ["of a process with a port", "", "runtime: process, cmd: [serve], health: { tcp: 80 }, ports: [80]", [
    "order is stop-first: host port 80 can be held by one replica of a node at a time",
  ], "stop-first"],
  [
    "of canaries with a static host port",
    'ports: ["8080:80"], update: { strategy: canary }',
    undefined,
    ["order is stop-first: host port 8080 can be held by one replica of a node at a time"],
    "stop-first",
  ],
  [
    "with a static host port and stop-first said",
    'ports: ["8080:80"], update: { order: stop-first }',
    undefined,
    [],
    "stop-first",
  ],
  ["with a static host port and start-first said", 'ports: ["8080:80"], update: { order: start-first }', undefined, [
    "start-first with host port 8080 needs a free node for each replica that is replaced",
  ], "start-first"],
  [
    "of recreate with a static host port",
    'ports: ["8080:80"], update: { strategy: recreate, order: start-first }',
    undefined,
    [],
    "start-first",
  ],
];
for (const [name, keys, task, notes, order] of NOTES) {
  Deno.test(`serviceDocument notes: ${name}`, () => {
    const spec = specOf(keys, task);
    assert.deepEqual([spec.notes, spec.update.order], [notes, order]);
  });
}

const ANALYSIS = (http: string, keys = "") => `update: { analysis: { http: { ${http} }${keys} } }`;
const URL_OK = 'url: "http://h"';

const REFUSED: readonly (readonly [string, unknown, readonly string[]])[] = [
  ["a name with a dot", { name: "a.b", task: { image: "i" } }, [
    "name: a service's name has 1 to 48 letters, digits, _ or -, and begins with a letter or digit",
  ]],
  ["no task", { name: "web" }, ["task: is missing (record)"]],
  ["no image", { name: "web", task: {} }, ["task.image: a task needs an image"]],
  ["a key that is a slip", web("replcas: 2"), ["replcas: unknown key `replcas`; did you mean `replicas`?"]],
  ["a key of update that is a slip", web("update: { maxparallel: 2 }"), [
    "update.maxparallel: unknown key `maxparallel`; did you mean `maxParallel`?",
  ]],
  ["a key of the analysis that is a slip", web(ANALYSIS(URL_OK, ", failurelimit: 1")), [
    "update.analysis.failurelimit: unknown key `failurelimit`; did you mean `failureLimit`?",
  ]],
  ["a key of the task that is a slip", web("", "image: i, imge: i"), [
    "task.imge: unknown key `imge`; did you mean `image`?",
  ]],
  ["a key deep in the task that is a slip", web("", "image: i, health: { tcp: 80, htp: /up }"), [
    "task.health.htp: unknown key `htp`; did you mean `http`?",
  ]],
  ["a key that objects have", JSON.parse('{ "name": "web", "task": { "image": "i" }, "constructor": 1 }'), [
    "constructor: unknown key `constructor`",
  ]],
  ["a name of the task", web("", "image: i, name: x"), [
    "task.name: the service's own name counts: leave this out",
  ]],
  ["a task that says when it is placed anew, and more", web("", "image: i, reschedule: true, cpu: much"), [
    "task.reschedule: a service replaces its replicas by itself: leave this out",
    "task.cpu: must be a number",
  ]],
  ["replicas of a global service", web("mode: global, replicas: 2"), [
    "replicas: a global service has one replica on each node: leave `replicas` out",
  ]],
  ["spread of a global service", web("mode: global, spread: node.name"), [
    "spread: a global service has one replica on each node: leave `spread` out",
  ]],
  ["negative replicas", web("replicas: -1"), ["replicas: must be at least 0"]],
  ["half a replica", web("replicas: 1.5"), ["replicas: must be an int"]],
  ["too many replicas", web("replicas: 1001"), ["replicas: must be at most 1000"]],
  ["a mode that is none", web("mode: all"), ["mode: must be one of replicated, global"]],
  ["a strategy that is none", web("update: { strategy: blue-green }"), [
    "update.strategy: must be one of rolling, canary, blueGreen, recreate",
  ]],
  ["an order that is none", web("update: { order: stop }"), [
    "update.order: must be one of start-first, stop-first",
  ]],
  ["nothing at a time", web("update: { maxParallel: 0 }"), ["update.maxParallel: must be at least 1"]],
  ["no share at a time", web("update: { maxParallel: 0% }"), ["update.maxParallel: must be from 1% to 100%"]],
  ["more than all", web("update: { maxUnavailable: 101% }"), ["update.maxUnavailable: must be from 0% to 100%"]],
  ["half a percent", web("update: { canary: 0.5% }"), ['update.canary: a number, or a share such as "25%"']],
  ["a number as text", web('update: { canary: "2" }'), ['update.canary: a number, or a share such as "25%"']],
  ["neither a number nor a share", web("update: { canary: true }"), ["update.canary: must be number or string"]],
  ["a duration without a unit", web('update: { monitor: "5" }'), [
    'update.monitor: not a duration: "5"; write it with a unit, such as 5s or 1m30s',
  ]],
  ["a number as duration", web("update: { minHealthyTime: 5 }"), ["update.minHealthyTime: must be a string"]],
  ["a wait that is longer than anybody's patience", web("update: { promoteDeadline: 31d }"), [
    "update.promoteDeadline: at most 30d",
  ]],
  ["a long shutdown", web("update: { shutdownDelay: 61m }"), ["update.shutdownDelay: at most 1h"]],
  ["a spread over what is no attribute", web("spread: zone"), [
    "spread: an attribute of nodes, such as node.labels.zone",
  ]],
  ["minHealthyTime that is as long as healthyDeadline", web("update: { minHealthyTime: 5m }"), [
    "update.minHealthyTime: must be shorter than healthyDeadline (5m)",
  ]],
  ["healthyDeadline that is as long as progressDeadline", web("update: { healthyDeadline: 10m }"), [
    "update.healthyDeadline: must be shorter than progressDeadline (10m)",
  ]],
  ["all three waits alike", web("update: { minHealthyTime: 1m, healthyDeadline: 1m, progressDeadline: 1m }"), [
    "update.healthyDeadline: must be longer than minHealthyTime (1m)",
    "update.progressDeadline: must be longer than healthyDeadline (1m)",
  ]],
  ["stop-first that may take nothing away", web("update: { order: stop-first, maxUnavailable: 0 }"), [
    "update.maxUnavailable: stop-first takes a replica away before its successor is there: at least 1, or use start-first",
  ]],
  ["stop-first that may take no share away", web("update: { order: stop-first, maxUnavailable: 0% }"), [
    "update.maxUnavailable: stop-first takes a replica away before its successor is there: at least 1, or use start-first",
  ]],
  ["a static port that may not be given up", web('ports: ["80:80"], update: { maxUnavailable: 0 }'), [
    "update.maxUnavailable: stop-first takes a replica away before its successor is there: at least 1, or use start-first",
  ]],
  ["blueGreen with a static port", web('ports: ["8080:80"], update: { strategy: blueGreen }'), [
    "update.strategy: blueGreen runs both revisions at once, and both want host port 8080; leave the host port out",
  ]],
  [
    "a global service that starts first, with a static port",
    web('mode: global, ports: ["8080:80"], update: { order: start-first }'),
    [
      "update.order: both revisions want host port 8080 of the same node; use stop-first, or leave the host port out",
    ],
  ],
  ["a constraint beside the task that is none", web("constraints: [zone]", 'image: i, constraints: ["node.id == a"]'), [
    'constraints.0: not a constraint: "zone"; write "node.labels.zone == eu" or "node.name != host-a"',
  ]],
  ["a constraint of the task that is none", web('constraints: ["node.id == a"]', "image: i, constraints: [zone]"), [
    'task.constraints.0: not a constraint: "zone"; write "node.labels.zone == eu" or "node.name != host-a"',
  ]],
  ["a port beside the task that is none", web("ports: [80, 0]", "image: i, ports: [81]"), [
    "ports.1: must be at least 1",
  ]],
  ["constraints of the task that are no list", web('constraints: ["node.id == a"]', "image: i, constraints: x"), [
    "task.constraints: must be an array",
  ]],
  ["labels of the task that are a text", web("labels: { a: b }", "image: i, labels: abc"), [
    "task.labels: must be a record",
  ]],
  ["a label of the task that is none", web("labels: { a: b }", "image: i, labels: { c: 1 }"), [
    "task.labels.c: must be a string",
  ]],
  ["a port twice", web('ports: ["80:1"]', 'image: i, ports: ["80:2"]'), [
    "task.ports: host port 80/tcp is listed twice",
  ]],
  ["an analysis without a request", web("update: { analysis: {} }"), ["update.analysis.http: is missing (object)"]],
  ["measurements without a pause", web(ANALYSIS(URL_OK, ", interval: 0s")), [
    "update.analysis.interval: must be from 100ms to 1d",
  ]],
  ["a request without time", web(ANALYSIS(`${URL_OK}, timeout: 1ms`)), [
    "update.analysis.http.timeout: must be from 10ms to 1d",
  ]],
  ["as many failures as measurements", web(ANALYSIS(URL_OK, ", count: 2, failureLimit: 2")), [
    "update.analysis.failureLimit: 2 measurements cannot fail more often than that; it must be less than `count`",
  ]],
  ["an address that is none", web(ANALYSIS("url: /health")), [
    "update.analysis.http.url: must begin with http:// or https:// and a host, such as http://${{ address }}/health",
  ]],
  ["another protocol", web(ANALYSIS('url: "ftp://${{ address }}"')), [
    "update.analysis.http.url: must begin with http:// or https:// and a host, such as http://${{ address }}/health",
  ]],
  ["an address without its protocol", web(ANALYSIS('url: "${{ address }}/health"')), [
    "update.analysis.http.url: must begin with http:// or https:// and a host, such as http://${{ address }}/health",
  ]],
  ["a method that is none", web(ANALYSIS(`${URL_OK}, method: get`)), [
    "update.analysis.http.method: must be one of GET, HEAD, POST, PUT, PATCH, DELETE",
  ]],
  ["a header that is none", web(ANALYSIS(`${URL_OK}, headers: { "a b": x }`)), [
    "update.analysis.http.headers.a b: not a header's name",
  ]],
  ["an expression that is left open", web(ANALYSIS('url: "http://${{ address"')), [
    "update.analysis.http.url: `${{` without its `}}`",
  ]],
  ["a name that is a slip", web(ANALYSIS('url: "http://${{ adress }}"')), [
    "update.analysis.http.url: `${{ adress }}`: unknown name `adress`; did you mean `address`?",
  ]],
  ["a name that is nowhere", web(ANALYSIS(`${URL_OK}, body: "\${{ steps.a.outputs.b }}"`)), [
    "update.analysis.http.body: `${{ steps.a.outputs.b }}`: unknown name `steps`; known are address, slot, revision, service",
  ]],
  ["the answer in the request", web(ANALYSIS(`${URL_OK}, headers: { A: "\${{ status }}" }`)), [
    "update.analysis.http.headers.A: `${{ status }}`: `status` is not known here; known are address, slot, revision, service",
  ]],
  ["a parameter in the request", web(ANALYSIS('url: "http://${{ params.h }}"')), [
    "update.analysis.http.url: `${{ params.h }}`: `params` is not known here; known are address, slot, revision, service",
  ]],
  ["the replica in what is expected", web(ANALYSIS(`${URL_OK}, expect: "slot == 1"`)), [
    "update.analysis.http.expect: `slot` is not known here; known are status, headers, body",
  ]],
  ["what is expected within braces", web(ANALYSIS(`${URL_OK}, expect: "\${{ status == 200 }}"`)), [
    "update.analysis.http.expect: write the expression without `${{ }}`",
  ]],
  ["what is neither true nor false", web(ANALYSIS(`${URL_OK}, expect: "status + 1"`)), [
    "update.analysis.http.expect: gives int; it must give true or false",
  ]],
];
for (const [name, document, problems] of REFUSED) {
  Deno.test(`serviceDocument refuses ${name}`, () => assert.deepEqual(problemsOf(document), problems));
}

for (const expect of ["status", "1 +", "status == 'x' +", "succeeded('a')", "body.matches('(')"]) {
  Deno.test(`serviceDocument refuses to expect ${expect}`, () => {
    const problems = problemsOf(web(ANALYSIS(`${URL_OK}, expect: "${expect}"`)));
    assert.equal(problems.length, 1);
    assert.match(problems[0], /^update\.analysis\.http\.expect: ./);
  });
}

for (
  const http of [
    'url: "https://${{ address }}/${{ revision }}"',
    "url: \"${{ slot == 0 ? 'http://a' : 'https://b' }}/x\"",
    `${URL_OK}, expect: "headers['x-version'] == 'a' || body.contains('b')"`,
    `${URL_OK}, expect: "fromJSON(body).ok"`,
    `${URL_OK}, body: "\${{ toJSON({'a': int(address.split(':')[1])}) }}"`,
  ]
) {
  Deno.test(`serviceDocument measures with ${http}`, () => assert.deepEqual(problemsOf(web(ANALYSIS(http))), []));
}

Deno.test("serviceDocument lets recreate and blueGreen be, where nothing is taken away slot by slot", () => {
  assert.deepEqual(problemsOf(web('ports: ["80:80"], update: { strategy: recreate, maxUnavailable: 0 }')), []);
  assert.deepEqual(problemsOf(web("update: { strategy: blueGreen, order: stop-first, maxUnavailable: 0 }")), []);
});

Deno.test("serviceDocument keeps what is not an own key of the document out of it", () => {
  const task = JSON.parse('{ "image": "i", "__proto__": { "user": "root" } }');
  const spec = serviceDocument.safeParse({ name: "web", task });
  // Over HTTP the key is refused before (lib/http/plain_data.ts).
  assert.equal(spec.success && spec.data.task.user, null);
});

Deno.test("serviceDocument bounds what is stored of it", () => {
  const files = { "/a": "x".repeat(40_000) };
  const fits = { name: "web", task: { image: "i", files, env: { A: "y".repeat(15_000) } } };
  assert.deepEqual(problemsOf(fits), []);
  const [tooLarge, ...others] = problemsOf({
    ...fits,
    labels: { l: "z".repeat(1_000) },
    task: {
      ...fits.task,
      env: { A: "y".repeat(25_000) },
    },
  });
  assert.match(tooLarge, new RegExp(`^task: the task takes \\d+ bytes; at most ${SPEC_BYTES_MAX} can be kept$`));
  assert.deepEqual(others, []);
});

Deno.test("serviceDocument bounds the settings that stand in every record of a rollout", () => {
  const analysis = (headers: number) => ({
    http: {
      url: "http://h",
      headers: Object.fromEntries(Array.from({ length: headers }, (_, i) => [`h${i}`, "x".repeat(4_000)])),
    },
  });
  const { update } = serviceDocument.parse({ name: "w", task: { image: "i" }, update: { analysis: analysis(9) } });
  assert.ok(byteLength(JSON.stringify(update)) < UPDATE_BYTES_MAX);
  const [problem] = problemsOf({ name: "w", task: { image: "i" }, update: { analysis: analysis(11) } });
  assert.match(problem, /^update: it takes \d+ bytes with its analysis; at most 40960 can be kept$/);
});

Deno.test("amountOf() rounds as it is told, and up to one at least", () => {
  const share = (percent: number) => ({ kind: "percent", percent }) as const;
  assert.equal(amountOf({ kind: "count", count: 3 }, 1, "up"), 3);
  assert.deepEqual([amountOf(share(25), 10, "up"), amountOf(share(25), 10, "down")], [3, 2]);
  assert.deepEqual([amountOf(share(1), 10, "up"), amountOf(share(1), 10, "down")], [1, 0]);
  assert.deepEqual([amountOf(share(50), 0, "up"), amountOf(share(100), 7, "down")], [1, 7]);
});
