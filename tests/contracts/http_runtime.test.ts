import assert from "node:assert/strict";
import { issueCertificate, makeAuthority } from "../../lib/adapters/certificates.ts";
import { isRefused } from "../../lib/adapters/http_address.ts";
import { createHttpRuntime } from "../../lib/adapters/http_runtime.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import type { ContainerObservation, OutputChunk, Runtime } from "../../lib/contracts/runtime.ts";
import type { HttpRequestSpec } from "../../lib/core/documents/task.ts";
import { HEADERS_BYTES_MAX, HEADERS_MAX, STDOUT_BYTES_MAX } from "../../lib/core/outgoing.ts";
import { eventually } from "../fixtures/eventually.ts";
import type { Behaviour, Subject } from "./runtime.contract.ts";
import { exited, never, PATIENT_MS, plainSpec, running, runtimeContract, text } from "./runtime.contract.ts";

type Handler = (request: Request, url: URL) => Response | Promise<Response>;

interface HttpSubject extends Subject {
  readonly port: number;
  readonly seen: Request[];
}

const encoder = new TextEncoder();
/** A body that says so much and then goes on for ever, or ends. */
function streamOf(said: string, ends: boolean): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (said !== "") controller.enqueue(encoder.encode(said));
      if (ends) controller.close();
    },
  });
}

const byBehaviour: Handler = (_request, url) => {
  const { lines = [], code } = JSON.parse(url.searchParams.get("do")!) as Behaviour;
  return new Response(streamOf(lines.map((line) => `${line}\n`).join(""), code !== undefined));
};

interface Tls {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

function httpSubject(handler: Handler = byBehaviour, tls: Tls = {}): Promise<HttpSubject> {
  const seen: Request[] = [];
  const server = Deno.serve(
    {
      port: 0,
      hostname: "127.0.0.1",
      onListen() {},
      onError: () => new Response(null, { status: 500 }),
      ...(tls.cert && tls.key ? { cert: tls.cert, key: tls.key } : {}),
    },
    (request) => {
      seen.push(request);
      return handler(request, new URL(request.url));
    },
  );
  const { port } = server.addr as Deno.NetAddr;
  const runtimes: Runtime[] = [];
  const subject: HttpSubject = {
    port,
    seen,
    open(nodeId = "node") {
      const caCerts = tls.ca === undefined ? [] : [tls.ca];
      const runtime = createHttpRuntime({ nodeId, clock: createSystemClock(), caCerts });
      runtimes.push(runtime);
      return Promise.resolve(runtime);
    },
    spec: (name, behaviour) => ({
      ...plainSpec(name),
      http: get(
        behaviour.code === 1
          // Nobody listens at a port that only servers of the system may have.
          ? "http://127.0.0.1:1/"
          : `http://127.0.0.1:${port}/?do=${encodeURIComponent(JSON.stringify(behaviour))}`,
      ),
    }),
    until: (what, look) => eventually(what, look),
    during: (call) => call,
    async close() {
      for (const runtime of runtimes) await runtime.close();
      await server.shutdown();
    },
  };
  return Promise.resolve(subject);
}

function get(url: string, change: Partial<HttpRequestSpec> = {}): HttpRequestSpec {
  return { url, method: "GET", headers: {}, body: null, timeoutMs: null, ...change };
}

const define = (name: string, fn: () => Promise<void>) => Deno.test({ name: `http runtime: ${name}`, fn });

runtimeContract(define, httpSubject, {
  echoCommand: ["none"],
  files: false,
  except: [
    // Each runtime has its own requests: there is no engine that two of them could share.
    "create() of the same attempt under the same name by another node is a conflict",
    "list(), stop() and remove() touch nothing of another node",
    "events() begin with `back` and tell of start, end and removal, of own containers only",
    // A request has no program: it ends with 0 or 1, heeds every stop and runs no commands.
    "inspect() tells exit code 42 and both times",
    "stop() kills what does not heed the signal when its grace is over",
    "exec() takes input, gives output, then the code",
    // Their output is the body alone; here it stands beside the line about the hop, and is that of the last start.
    "logs() gives all there is, or the last lines, also after the end",
    "logs() that follow end with the container",
    "logs() that follow end when they are given up",
    "restart() ends the run and begins another",
  ],
});

interface Ended extends ContainerObservation {
  readonly stdout: string;
  readonly stderr: string;
  readonly answer: Awaited<ReturnType<Runtime["leavings"]>>["answer"];
}

async function ended(subject: HttpSubject, http: HttpRequestSpec): Promise<Ended> {
  const runtime = await subject.open();
  const spec = { ...plainSpec("a"), http };
  await runtime.create(spec, never());
  await runtime.start("a");
  const seen = await exited(subject, runtime, "a");
  const told = { stdout: "", stderr: "" };
  const options = { follow: false, tail: null, sinceMs: null, timestamps: false };
  for await (const { stream, data } of runtime.logs("a", options, never())) {
    told[stream] += new TextDecoder().decode(data);
  }
  return { ...seen, ...told, answer: (await runtime.leavings("a", 0)).answer };
}

function test(name: string, handler: Handler, fn: (subject: HttpSubject, base: string) => Promise<void>): void {
  define(name, async () => {
    const subject = await httpSubject(handler);
    try {
      await fn(subject, `http://127.0.0.1:${subject.port}`);
    } finally {
      await subject.close();
    }
  });
}

const hello: Handler = () => new Response("hello", { headers: { "X-Said-By": "the server" } });

test("an answer is body, status, headers in small letters, and a line about it", hello, async (subject, base) => {
  const seen = await ended(subject, get(`${base}/up?a=b`));
  assert.deepEqual([seen.exitCode, seen.error, seen.stdout, seen.answer?.status], [0, null, "hello", 200]);
  assert.equal(seen.answer?.headers["x-said-by"], "the server");
  assert.match(seen.stderr, new RegExp(`^GET ${base}/up\\?a=b -> 200 in \\d+ ms\\n$`));
});

test("an answer is one whatever its status", () => new Response("no", { status: 503 }), async (subject, base) => {
  const seen = await ended(subject, get(base));
  assert.deepEqual([seen.exitCode, seen.stdout, seen.answer?.status], [0, "no", 503]);
});

test(
  "method, headers and body arrive, those of the connection aside",
  async (request) => Response.json([request.method, await request.text(), Object.fromEntries(request.headers)]),
  async (subject, base) => {
    const headers = {
      "X-Key": "k",
      "Content-Type": "text/plain",
      "Transfer-Encoding": "chunked",
      "Content-Length": "1",
    };
    const seen = await ended(subject, get(base, { method: "PUT", headers, body: "böd" }));
    const [method, body, got] = JSON.parse(seen.stdout);
    assert.deepEqual([method, body], ["PUT", "böd"]);
    assert.deepEqual(
      [got["x-key"], got["content-type"], got["content-length"], got["transfer-encoding"]],
      ["k", "text/plain", "4", undefined],
    );
    assert.equal(got.cookie, undefined);
  },
);

const redirecting: Handler = async (request, url) => {
  const [, status, ...to] = url.pathname.split("/");
  if (status === "end") {
    return Response.json({
      method: request.method,
      body: await request.text(),
      key: request.headers.get("authorization"),
    });
  }
  return new Response(null, {
    status: Number(status),
    headers: { location: to.length ? `/${to.join("/")}` : url.href },
  });
};
const posted = { method: "POST", body: "b", headers: { authorization: "key" } };

for (
  const [status, method, body] of [[301, "GET", ""], [302, "GET", ""], [303, "GET", ""], [307, "POST", "b"]] as const
) {
  test(`a POST that is answered ${status} goes on as ${method}`, redirecting, async (subject, base) => {
    const seen = await ended(subject, get(`${base}/${status}/end`, posted));
    assert.deepEqual(JSON.parse(seen.stdout), { method, body, key: "key" });
    assert.match(seen.stderr, new RegExp(`^POST .* -> ${status}, on to ${base}/end\n${method} .* -> 200`));
  });
}

test("five redirects are followed, a sixth is not", redirecting, async (subject, base) => {
  assert.equal((await ended(subject, get(`${base}/302/302/302/302/302/end`))).exitCode, 0);
  const seen = await ended(subject, get(`${base}/302/302/302/302/302/302/end`));
  assert.deepEqual([seen.exitCode, seen.error], [1, "it was redirected more than 5 times"]);
});

test("a circle of redirects ends", redirecting, async (subject, base) => {
  assert.equal((await ended(subject, get(`${base}/307`))).error, "it was redirected more than 5 times");
});

test(
  "another server is not told what was meant for the first",
  (request, url) =>
    url.hostname === "127.0.0.1"
      ? new Response(null, { status: 307, headers: { location: `http://localhost:${url.port}/` } })
      : Response.json(Object.fromEntries(request.headers)),
  async (subject, base) => {
    const headers = { Authorization: "key", Cookie: "c", Host: `127.0.0.1:${subject.port}`, "X-Kept": "k" };
    const got = JSON.parse((await ended(subject, get(base, { headers }))).stdout);
    assert.deepEqual([got.authorization, got.cookie, got["x-kept"]], [undefined, undefined, "k"]);
    assert.equal(got.host, `localhost:${subject.port}`);
  },
);

for (
  const [name, location, says] of [
    ["to another scheme", "file:///etc/passwd", "not a URL of http or https: file:///etc/passwd"],
    [
      "to a link-local address",
      "http://169.254.169.254/latest/meta-data",
      "sailors make no requests to link-local addresses such as 169.254.169.254",
    ],
  ] as const
) {
  test(
    `a redirect ${name} is refused`,
    () => new Response(null, { status: 302, headers: { location } }),
    async (subject, base) => {
      const seen = await ended(subject, get(base));
      assert.deepEqual([seen.exitCode, seen.error, seen.answer], [1, says, null]);
    },
  );
}

const NEVER_SENT: readonly [name: string, http: HttpRequestSpec, says: RegExp][] = [
  ["a port where nobody listens", get("http://127.0.0.1:1/"), /^connection refused$/],
  ["a name that nobody has", get("http://nobody.invalid/"), /no address is known of nobody\.invalid/],
  ["a link-local address", get("http://169.254.1.2/"), /no requests to link-local/],
  ["one that is written as a number", get("http://2852039166/"), /no requests to link-local/],
  ["one in IPv6", get("http://[fe80::1]:80/"), /no requests to link-local/],
  ["one that is mapped into IPv6", get("http://[::ffff:169.254.169.254]/"), /no requests to link-local/],
  ["another scheme", get("ftp://127.0.0.1/"), /not a URL of http or https/],
  ["no URL", get("nonsense"), /not a URL: nonsense/],
  ["a password in the URL", get("http://u:p@127.0.0.1/"), /bears no user and password/],
  ["a tunnel", get("http://127.0.0.1:1/", { method: "CONNECT" }), /CONNECT/],
  ["a header of two lines", get("http://127.0.0.1:1/", { headers: { a: "b\r\nc: d" } }), /[Ii]nvalid character/],
];

for (const [name, http, says] of NEVER_SENT) {
  test(`a request ends with 1 and words: ${name}`, hello, async (subject) => {
    const seen = await ended(subject, http);
    assert.equal(seen.exitCode, 1);
    assert.match(seen.error!, says);
    assert.match(seen.stderr, /^(GET|CONNECT) .* -> /);
    assert.deepEqual([seen.stdout, seen.answer, subject.seen.length], ["", null, 0]);
  });
}

for (
  const [address, refused] of [
    ["169.254.0.0", true],
    ["169.253.255.255", false],
    ["169.255.0.0", false],
    ["fe80::1%eth0", true],
    ["febf:ffff::1", true],
    ["fec0::1", false],
    ["::ffff:a9fe:a9fe", true],
    ["::ffff:10.0.0.1", false],
    ["64:ff9b::a9fe:a9fe", true],
    ["fd00:ec2::254", true],
    ["127.0.0.1", false],
    ["::1", false],
  ] as const
) Deno.test(`isRefused() ${address}: ${refused}`, () => assert.equal(isRefused(address), refused));

test("an endless body is read as far as it is kept", () => {
  const block = new Uint8Array(2 ** 14).fill(65);
  return new Response(new ReadableStream({ pull: (controller) => controller.enqueue(block) }));
}, async (subject, base) => {
  const seen = await ended(subject, get(base));
  assert.deepEqual([seen.exitCode, seen.stdout.length], [0, STDOUT_BYTES_MAX + 1]);
});

test("headers are bounded in number and size", () => {
  const headers = new Headers(Array.from({ length: 150 }, (_, i) => [`x-${i}`, "v"] as [string, string]));
  return new Response("", { headers });
}, async (subject, base) => {
  const { answer } = await ended(subject, get(base));
  assert.equal(Object.keys(answer!.headers).length, HEADERS_MAX);
});

test(
  "headers that are too large are left out",
  () => new Response("", { headers: { "a-first": "v", "b-large": "v".repeat(HEADERS_BYTES_MAX), "set-cookie": "c" } }),
  async (subject, base) => {
    const { answer, exitCode } = await ended(subject, get(base));
    // The client may refuse as many bytes altogether; what it took is bounded in any case.
    if (exitCode === 0) assert.equal(answer!.headers["b-large"], undefined);
    else assert.equal(exitCode, 1);
  },
);

test(
  "a body that comes too slowly ends it when its time is over",
  () => new Response(streamOf("a", false)),
  async (subject, base) => {
    const seen = await ended(subject, get(base, { timeoutMs: 200 }));
    assert.deepEqual([seen.exitCode, seen.error, seen.stdout], [1, "not all of the answer within 0.2 s", "a"]);
  },
);

test("an answer that does not come ends it when its time is over", hello, async (subject) => {
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = silent.accept();
  try {
    const url = `http://127.0.0.1:${silent.addr.port}/`;
    const seen = await ended(subject, get(url, { timeoutMs: 200 }));
    assert.deepEqual([seen.exitCode, seen.error, seen.answer], [1, "no answer within 0.2 s", null]);
  } finally {
    (await accepted).close();
    silent.close();
  }
});

/** Answers whoever connects with these bytes and hangs up. */
async function withRawServer(answer: string, play: (url: string) => Promise<void>): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serving = (async () => {
    using connection = await listener.accept();
    await connection.read(new Uint8Array(4_096));
    await connection.write(encoder.encode(answer));
  })();
  try {
    await play(`http://127.0.0.1:${listener.addr.port}/`);
    await serving;
  } finally {
    listener.close();
  }
}

for (
  const [name, answer, says] of [
    ["half an answer", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", /^not all of the answer came: /],
    ["half a header", "HTTP/1.1 200 O", /./],
    ["no answer at all", "", /./],
    ["something that is no HTTP", "220 smtp.example ESMTP\r\n", /./],
    [
      "a protocol that nobody asked for",
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
      /another protocol/,
    ],
  ] as const
) {
  test(`a server that gives ${name} is a failure with words`, hello, async (subject) => {
    await withRawServer(answer, async (url) => {
      const { exitCode, error, stderr } = await ended(subject, get(url, { timeoutMs: 5_000 }));
      assert.equal(exitCode, 1);
      assert.match(error!, says);
      assert.ok(stderr.endsWith(`GET ${url} -> ${error}\n`), stderr);
    });
  });
}

for (const [method, status] of [["HEAD", 200], ["DELETE", 204]] as const) {
  test(
    `${method} that is answered ${status} has no body`,
    () => new Response(null, { status }),
    async (subject, base) => {
      const seen = await ended(subject, get(base, { method }));
      assert.deepEqual([seen.exitCode, seen.stdout, seen.answer?.status], [0, "", status]);
    },
  );
}

test(
  "logs() follow the body, tail it, and end with it",
  () => new Response(streamOf("one\ntwo\n", false)),
  async (subject, base) => {
    const runtime = await subject.open();
    await runtime.create({ ...plainSpec("a"), http: get(base) }, never());
    await runtime.start("a");
    await running(subject, runtime, "a");
    const chunks: OutputChunk[] = [];
    const abort = new AbortController();
    const following = (async () => {
      const options = { follow: true, tail: null, sinceMs: null, timestamps: false };
      for await (const chunk of runtime.logs("a", options, abort.signal)) chunks.push(chunk);
    })();
    await subject.until("it has spoken", async () => (await text(runtime, "a")).endsWith("two\n"));
    assert.equal(await text(runtime, "a", { tail: 1 }), "two\n");
    assert.equal(await text(runtime, "a", { tail: 0 }), "");
    await runtime.stop("a", PATIENT_MS);
    await following;
    const last = new TextDecoder().decode(chunks.at(-1)!.data);
    assert.match(last, /^GET .* -> it was stopped\n$/);
    assert.equal((await runtime.inspect("a"))!.exitCode, 143);
  },
);

test("nothing of a request outlives its runtime, and commands find nothing to run in", hello, async (subject, base) => {
  const runtime = await subject.open();
  await runtime.create({ ...plainSpec("a"), http: get(base) }, never());
  assert.equal(await (await subject.open()).inspect("a"), undefined);
  await assert.rejects(runtime.exec("a", { command: ["true"], tty: false, stdin: false }), /nothing to run/);
  await assert.rejects(runtime.create(plainSpec("b"), never()), /has none/);
});

define("https: the name must be the certificate's, and its authority trusted", async () => {
  const nowMs = Date.now();
  const authority = await makeAuthority("test", 1, nowMs);
  const open = async (host: string, isTrusted = true) => {
    const { certificate, key } = await issueCertificate({ authority, name: "it", hosts: [host], days: 1, nowMs });
    return await httpSubject(hello, { cert: certificate, key, ...(isTrusted ? { ca: authority.certificate } : {}) });
  };
  const [byName, byAddress, doubted] = [
    await open("localhost"),
    await open("127.0.0.1"),
    await open("localhost", false),
  ];
  try {
    for (const [subject, host] of [[byName, "localhost"], [byAddress, "127.0.0.1"]] as const) {
      const { exitCode, stdout, error } = await ended(subject, get(`https://${host}:${subject.port}/`));
      assert.deepEqual([exitCode, stdout, error], [0, "hello", null]);
    }
    for (const [subject, host] of [[byName, "127.0.0.1"], [byAddress, "localhost"], [doubted, "localhost"]] as const) {
      const { exitCode, error } = await ended(subject, get(`https://${host}:${subject.port}/`));
      assert.equal(exitCode, 1);
      assert.match(error!, /certificate|issuer/i);
    }
  } finally {
    for (const subject of [byName, byAddress, doubted]) await subject.close();
  }
});
