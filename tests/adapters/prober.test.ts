import assert from "node:assert/strict";
import { createProber } from "../../lib/adapters/prober.ts";

const prober = createProber();
const AMPLE_MS = 10_000;

const ANSWERS: readonly (readonly [string, () => Response, boolean, RegExp])[] = [
  ["200", () => new Response("fine"), true, /^GET \/health -> 200: fine$/],
  ["200 without a body", () => new Response(null), true, /-> 200$/],
  ["404", () => new Response("not here", { status: 404 }), false, /-> 404: not here$/],
  ["204", () => new Response(null, { status: 204 }), false, /-> 204$/],
  ["a redirect", () => new Response(null, { status: 302, headers: { location: "/ok" } }), false, /-> 302/],
  ["an endless body", () => new Response(endless()), true, /-> 200: x/],
];
for (const [name, answer, healthy, says] of ANSWERS) {
  Deno.test(`probe() http: ${name}`, async () => {
    const asked: string[] = [];
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      asked.push(new URL(request.url).pathname);
      return answer();
    });
    try {
      const target = { kind: "http", host: "127.0.0.1", port: server.addr.port, path: "/health" } as const;
      const result = await prober.probe(target, AMPLE_MS);
      assert.equal(result.healthy, healthy, result.output);
      assert.match(result.output, says);
      assert.ok(result.output.length <= 1_100);
      assert.deepEqual(asked, ["/health"]);
    } finally {
      await server.shutdown();
    }
  });
}

Deno.test("probe() http: no answer in time", async () => {
  const gate = Promise.withResolvers<void>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async () => {
    await gate.promise;
    return new Response();
  });
  const target = { kind: "http", host: "127.0.0.1", port: server.addr.port, path: "/" } as const;
  assert.deepEqual(await prober.probe(target, 50), { healthy: false, output: "GET / -> no answer within 50 ms" });
  gate.resolve();
  await server.shutdown();
});

Deno.test("probe(): a port where nobody listens is refused", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr;
  listener.close();
  for (const target of [{ kind: "tcp" } as const, { kind: "http", path: "/" } as const]) {
    const result = await prober.probe({ ...target, host: "127.0.0.1", port }, AMPLE_MS);
    assert.equal(result.healthy, false);
    assert.match(result.output, /connection refused/);
  }
});

Deno.test("probe() tcp: a port where somebody listens is open", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const target = { kind: "tcp", host: "127.0.0.1", port: listener.addr.port } as const;
  const accepting = listener.accept();
  const result = await prober.probe(target, AMPLE_MS);
  assert.deepEqual(result, { healthy: true, output: `connect 127.0.0.1:${target.port} -> open` });
  (await accepting).close();
  listener.close();
});

function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({ pull: (controller) => controller.enqueue(new TextEncoder().encode("x".repeat(512))) });
}
