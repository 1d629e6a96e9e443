/** Requests that are nearly right, for every route that a listener has, and how they are told to a person. */
import fc from "fast-check";
import type { Route } from "../../lib/http/edge.ts";
import type { Change, Cut } from "./mutations.ts";
import { changed, changes, cut, cuts, oddText } from "./mutations.ts";

export type RouteName = Pick<Route, "method" | "path">;

export interface FuzzRequest {
  readonly method: string;
  /** Path and query, percent-encoded. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
}

const TASK1 = JSON.parse(Deno.readTextFileSync(new URL("../../task1.json", import.meta.url)));

const TASK = {
  name: "fuzz",
  image: "example/web:1",
  entrypoint: ["sh", "-c"],
  cmd: ["serve"],
  env: { MODE: "prod", N: 1, B: true },
  cpu: 0.5,
  memory: "64MiB",
  disk: 1024,
  ports: ["127.0.0.1:8080:80", 9000, "53/udp"],
  volumes: ["data:/var/lib/web", "/srv:/srv:ro"],
  restart: "on-failure:3",
  health: { http: "/health", port: 80, interval: "5s", timeout: "1s", retries: 3, startPeriod: "0s" },
  labels: { team: "a" },
  constraints: ["node.labels.zone == eu"],
  stopSignal: "SIGTERM",
  grace: "10s",
  user: "1000",
  workdir: "/srv",
  network: "bridge",
  pull: "missing",
  runtime: "docker",
  maxRestarts: 3,
  reschedule: "lost",
  files: { "/etc/app.conf": "text", "/run.sh": { content: "x", mode: "0755" } },
};

const WORKFLOW = {
  name: "fuzz",
  params: { version: { type: "string", pattern: "^v", default: "v1" }, n: { type: "number", default: 0 } },
  env: { A: "${{ params.version }}" },
  steps: {
    build: { run: "true", retry: { limit: 2, delay: "1s" }, outputs: { digest: "${{ fromJSON(stdout).digest }}" } },
    test: { needs: ["build"], matrix: { os: ["a", "b"], include: [{ os: "c", slow: true }] }, task: { image: "t:1" } },
    ask: { needs: ["test"], when: "params.n > 0", approval: { prompt: "?", inputs: { ticket: {} } } },
    warm: { needs: [{ step: "ask", condition: "finished" }], workflow: "warm.yaml", with: { n: 1 } },
    sign: { approval: { prompt: "sign?" } },
    wait: { sleep: "1h" },
    up: { http: { url: "http://a/${{ params.version }}", expect: "status == 200" } },
  },
  finally: [{ run: "true" }],
  outputs: { d: "${{ steps.build.outputs.digest }}" },
};

const INCLUDED = { "warm.yaml": { name: "warm", params: { n: { type: "number" } }, steps: { a: { sleep: "1s" } } } };

/** Honest documents of all kinds; a route gets wrong ones too. */
const SERVICE = {
  name: "fuzz",
  replicas: 1,
  task: { image: "a:1", ports: [80], health: { http: "/" } },
  spread: ["node.labels.zone"],
  update: {
    strategy: "canary",
    maxParallel: "25%",
    analysis: { interval: "1s", count: 2, http: { url: "http://${{ address }}/", expect: "status == 200" } },
  },
};

const DOCUMENTS: readonly unknown[] = [
  TASK,
  { name: "small", image: "a:1" },
  { tasks: [{ name: "b1", image: "a:1" }, TASK] },
  TASK1,
  { ...TASK1, Sail: { ...TASK1.Sail, Env: ["A=b"], Labels: { a: "b" }, PortBindings: { "80/tcp": "8080" } } },
  { ID: "6be4cb6b-61d1-40cb-bc7b-9cacefefa60c", State: 3, Sail: { ID: "21b23589-5d2d-4731-b5c9-a97e9832d021" } },
  { workflow: WORKFLOW, params: { version: "v1", n: 1 }, only: "build" },
  { workflow: WORKFLOW, included: INCLUDED },
  { workflow: WORKFLOW, included: INCLUDED, params: { n: "many" } },
  { workflow: "fuzz", version: 1, params: {} },
  { inputs: { ticket: "T-1" }, instance: 0 },
  { reason: "no", from: "build" },
  { grace: "10s" },
  { name: "token", kind: "admin", scope: "read" },
  SERVICE,
  { ...SERVICE, mode: "global", replicas: undefined, update: { strategy: "recreate" } },
  { replicas: 2, to: 1 },
  {},
];

const YAML_TEXTS: readonly string[] = [
  "name: web\nimage: a:1\nports: [80]\nenv:\n  A: 1\n",
  "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nname: [*c,*c]\n",
  "- {name: web",
  "name: &n web\nimage: *n\n<<: {cpu: 1}\n",
  "--- !!js/function 'x'\n",
  "name: web\nname: twice\n",
  "%YAML 9.9\n---\na",
];

const TYPES = [
  "application/json",
  "application/json",
  "application/yaml",
  "text/yaml",
  "text/plain",
  "",
  "application/json; charset=latin1",
  "multipart/form-data; boundary=x",
];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"];
const REFERENCES = [
  "fuzz",
  "build",
  "web",
  "node-a",
  "21b23589-5d2d-4731-b5c9-a97e9832d021",
  "21b2",
  "bb1d59ef-9fc1-4e4b-a44d-db571eeed203",
];
const QUERIES = [
  "limit",
  "cursor",
  "state",
  "node",
  "label",
  "live",
  "after",
  "since",
  "follow",
  "tail",
  "timestamps",
  "attempt",
  "workflow",
  "version",
  "run",
];

const reference = fc.oneof(fc.constantFrom(...REFERENCES), oddText).map((text) => encode(text) || "x");
const query = fc.array(
  fc.tuple(fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...QUERIES) }, { weight: 1, arbitrary: oddText }), oddText),
  { maxLength: 3 },
).map((pairs) => pairs.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&"));

const header = fc.constantFrom<readonly [string, string]>(
  ["accept", "text/event-stream"],
  ["accept", "application/x-ndjson"],
  ["last-event-id", "-1"],
  ["last-event-id", "1"],
  ["last-event-id", "99999999999999999999"],
  ["idempotency-key", "k"],
  ["idempotency-key", ""],
  ["idempotency-key", "ä b"],
  ["idempotency-key", "k".repeat(300)],
  ["origin", "http://evil.example"],
  ["origin", "null"],
  ["sec-fetch-site", "cross-site"],
  ["host", "evil.example"],
  ["host", "a b"],
  ["host", "[::1"],
  ["authorization", "Bearer x"],
  ["upgrade", "websocket"],
  ["upgrade", "websocket"],
  ["connection", "Upgrade"],
  ["connection", "Upgrade"],
  ["sec-websocket-version", "13"],
  ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="],
  ["content-length", "0"],
  ["content-length", "99999999999"],
  ["content-length", "-1"],
  ["content-encoding", "gzip"],
  ["x-long", "x".repeat(40_000)],
);

const json = fc.tuple(
  fc.constantFrom(...DOCUMENTS),
  changes,
  fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: cuts }),
)
  .map(([document, list, marks]: [unknown, readonly Change[], readonly Cut[]]) =>
    cut(JSON.stringify(changed(document, list)) ?? "", marks)
  );
const body = fc.oneof(
  { weight: 8, arbitrary: json },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...YAML_TEXTS), cuts).map(([text, marks]) => cut(text, marks)) },
  { weight: 1, arbitrary: oddText },
  { weight: 1, arbitrary: fc.constant(null) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[".repeat(100_000), '{"a":'.repeat(5_000), '{"name":"a","name":"b","image":"a:1"}'),
  },
);

/** What is taken, so that others meet tasks that were submitted. */
const honest = fc.constantFrom<FuzzRequest>(
  ...DOCUMENTS.slice(0, 5).flatMap((document) =>
    ["/v1/tasks", "/tasks"].map((target) => jsonRequest("POST", target, document))
  ),
  jsonRequest("PUT", "/v1/workflows/fuzz", { workflow: WORKFLOW, included: INCLUDED }),
  jsonRequest("POST", "/v1/runs", { workflow: WORKFLOW, included: INCLUDED, params: { n: 1 } }),
  jsonRequest("POST", "/v1/runs", { workflow: "fuzz" }),
  jsonRequest("POST", "/v1/services", SERVICE),
  jsonRequest("POST", "/v1/services/fuzz/scale", { replicas: 2 }),
);

function jsonRequest(method: string, target: string, document: unknown): FuzzRequest {
  return { method, target, headers: [["content-type", "application/json"]], body: JSON.stringify(document) };
}

export function requestsTo(routes: readonly RouteName[]): fc.Arbitrary<FuzzRequest> {
  return fc.oneof({ weight: 15, arbitrary: nearlyRight(routes) }, { weight: 1, arbitrary: honest });
}

/** Mostly the route's own method, its parameters filled in. */
function nearlyRight(routes: readonly RouteName[]): fc.Arbitrary<FuzzRequest> {
  return fc.record({
    route: fc.constantFrom(...routes),
    method: fc.option(fc.constantFrom(...METHODS), { freq: 8, nil: null }),
    reference,
    query: fc.option(query, { freq: 2, nil: "" }),
    headers: fc.array(header, { maxLength: 3 }),
    type: fc.constantFrom(...TYPES),
    body,
  }).map(({ route, method: other, reference, query, headers, type, body }) => {
    const method = other ?? route.method;
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name) => name === "step" ? "sign" : reference);
    const bears = body !== null && method !== "GET" && method !== "HEAD";
    return {
      method,
      target: query === "" ? path : `${path}?${query}`,
      headers: [...(bears && type !== "" ? [["content-type", type] as const] : []), ...headers],
      body: bears ? body : null,
    };
  });
}

/** Lone halves of pairs, which encodeURIComponent does not take, are sent as the bytes that some clients make of them. */
function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll("%25zz", "%zz").replaceAll("%2500", "%00").replaceAll(
    "..%2F",
    "../",
  );
}

/** For `sh`, against a deck at its usual port. */
export function asCommand({ method, target, headers, body }: FuzzRequest, port = 5555): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const octal = (text: string) =>
    [...new TextEncoder().encode(text)].map((byte) =>
      byte < 0x20 || byte > 0x7e || byte === 0x5c || byte === 0x25
        ? `\\${byte.toString(8).padStart(3, "0")}`
        : String.fromCharCode(byte)
    ).join("");
  const parts = [
    `curl --path-as-is -i -X ${method}`,
    ...headers.map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === null ? [] : ["--data-binary @-"]),
    quoted(`http://localhost:${port}${target}`),
  ];
  return `${body === null ? "" : `printf ${quoted(octal(body))} | `}${parts.join(" ")}`;
}
