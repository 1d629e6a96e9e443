/** HTTP by hand over a plain connection: to see when the first byte comes, and to be a client that does not read. */

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const CHUNK = 64 * 1024;

export async function ask(
  at: { readonly port: number } | { readonly path: string },
  request: { readonly method?: string; readonly path: string; readonly headers?: Record<string, string> },
): Promise<Deno.Conn> {
  const connection = "port" in at
    ? await Deno.connect({ hostname: "127.0.0.1", port: at.port })
    : await Deno.connect({ transport: "unix", path: at.path });
  const headers = Object.entries({ host: "localhost", ...request.headers }).map(([key, value]) =>
    `${key}: ${value}\r\n`
  );
  await connection.write(
    encoder.encode(`${request.method ?? "GET"} ${request.path} HTTP/1.1\r\n${headers.join("")}\r\n`),
  );
  return connection;
}

/** Until the other end closes, which `connection: close` asks it to. */
export async function firstByteAndAll(
  port: number,
  path: string,
): Promise<{ readonly firstMs: number; readonly allMs: number; readonly bytes: number }> {
  const fromMs = performance.now();
  const connection = await ask({ port }, { path, headers: { connection: "close" } });
  let bytes = 0;
  let firstMs = 0;
  const chunk = new Uint8Array(CHUNK);
  for (let length = await connection.read(chunk); length !== null; length = await connection.read(chunk)) {
    if (bytes === 0) {
      firstMs = performance.now() - fromMs;
      const status = decoder.decode(chunk.subarray(0, 12));
      if (status !== "HTTP/1.1 200") throw new Error(`GET ${path}: ${decoder.decode(chunk.subarray(0, length))}`);
    }
    bytes += length;
  }
  connection.close();
  return { firstMs, allMs: performance.now() - fromMs, bytes };
}

/** What comes, piece by piece as it comes. */
export async function* pieces(connection: Deno.Conn): AsyncGenerator<string> {
  const chunk = new Uint8Array(CHUNK);
  for (let length = await connection.read(chunk); length !== null; length = await connection.read(chunk)) {
    yield decoder.decode(chunk.subarray(0, length), { stream: true });
  }
}
