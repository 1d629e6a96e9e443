/** What the machine around the sailor must not change about a probe. */
import assert from "node:assert/strict";
import { createProber } from "../../lib/adapters/prober.ts";

const prober = createProber();

/** Answers one connection with these bytes, after the request's head, and leaves it open. */
function answering(bytes: string): { readonly port: number; heard(): string; close(): Promise<void> } {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  let heard = "";
  const served = (async () => {
    const connection = await listener.accept();
    const buffer = new Uint8Array(4096);
    while (!heard.includes("\r\n\r\n")) {
      heard += new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
    }
    await connection.write(new TextEncoder().encode(bytes));
    // The prober is the one that hangs up.
    try {
      while (await connection.read(buffer) !== null);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
    }
    connection.close();
  })();
  return {
    port: listener.addr.port,
    heard: () => heard,
    async close() {
      await served;
      listener.close();
    },
  };
}

Deno.test("probe() http goes to the target itself, whatever HTTP_PROXY says, with the path as it was written", async () => {
  const script = `
    import { createProber } from ${JSON.stringify(new URL("../../lib/adapters/prober.ts", import.meta.url).href)};
    const target = { kind: "http", host: "127.0.0.1", port: Number(Deno.args[0]), path: "/a/../b?x=%2f" };
    console.log(JSON.stringify(await createProber().probe(target, 10_000)));
  `;
  const server = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--ext=ts", script, String(server.port)],
    // A port where nobody listens: whoever asks the proxy is refused.
    env: { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" },
  }).output();
  assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), {
    healthy: true,
    output: "GET /a/../b?x=%2f -> 200: ok",
  });
  assert.match(server.heard(), /^GET \/a\/\.\.\/b\?x=%2f HTTP\/1\.1\r\n/);
  await server.close();
});

Deno.test("probe() http says at most 1 KiB, in whole characters, and hangs up on a body that goes on", async () => {
  const server = answering(`HTTP/1.1 500 Oh\r\ncontent-length: 1000000\r\n\r\n${"ø".repeat(2_000)}`);
  const result = await prober.probe({ kind: "http", host: "127.0.0.1", port: server.port, path: "/" }, 10_000);
  assert.equal(result.healthy, false);
  assert.match(result.output, /^GET \/ -> 500: ø+$/);
  const { length } = new TextEncoder().encode(result.output);
  assert.ok(length <= 1024 && length > 1020, `${length} bytes`);
  await server.close();
});

Deno.test("probe() http: a 200 whose body never comes is no answer", async () => {
  const server = answering("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
  const result = await prober.probe({ kind: "http", host: "127.0.0.1", port: server.port, path: "/" }, 50);
  assert.deepEqual(result, { healthy: false, output: "GET / -> no answer within 50 ms" });
  await server.close();
});

Deno.test("probe() http: what is no HTTP, or no path, is unhealthy and not thrown", async () => {
  const server = answering("SSH-2.0-OpenSSH_9.2\r\n");
  const host = "127.0.0.1";
  assert.equal((await prober.probe({ kind: "http", host, port: server.port, path: "/" }, 10_000)).healthy, false);
  await server.close();
  assert.equal((await prober.probe({ kind: "http", host, port: server.port, path: "/a b" }, 10_000)).healthy, false);
});
