/** A deck that answers as a test tells it to, and remembers what it was asked. */

export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** Undefined: this script does not know the request; 404. */
export type Script = (asked: Asked, request: Request) => Response | undefined | Promise<Response | undefined>;

export interface ScriptedDeck extends AsyncDisposable {
  readonly address: string;
  readonly asked: Asked[];
  /** `GET /v1/tasks` and so on, in order. */
  lines(): string[];
}

export function scriptedDeck(script: Script): ScriptedDeck {
  const asked: Asked[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const isSocket = request.headers.get("upgrade") === "websocket";
    const one: Asked = {
      method: request.method,
      path: pathname + search,
      // A copy: those of a closed request cannot be read any more.
      headers: new Headers(request.headers),
      body: isSocket ? "" : await request.text(),
    };
    asked.push(one);
    return await script(one, request) ?? problem(404, "notFound", `there is nothing at ${pathname}`);
  });
  return {
    address: `127.0.0.1:${server.addr.port}`,
    asked,
    lines: () => asked.map(({ method, path }) => `${method} ${path}`),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Answers by `METHOD path` without the query. */
export function routes(table: Readonly<Record<string, (asked: Asked, request: Request) => Response>>): Script {
  return (asked, request) => table[`${asked.method} ${asked.path.split("?")[0]}`]?.(asked, request);
}

export function problem(status: number, code: string, detail: string, errors?: unknown): Response {
  return Response.json({ type: "about:blank", title: "Refused", status, detail, code, errors }, {
    status,
    headers: { "content-type": "application/problem+json" },
  });
}

/** Event-stream text of events; the stream ends after it. */
export function eventStream(
  ...events: readonly { readonly id: number; readonly kind: string; readonly service?: string | null }[]
): Response {
  const text = events.map((event) => `id: ${event.id}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`);
  return new Response(`retry: 1000\n\n${text.join("")}`, { headers: { "content-type": "text/event-stream" } });
}

export function ndjson(...lines: readonly unknown[]): Response {
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  return new Response(text, { headers: { "content-type": "application/x-ndjson" } });
}

/** An address where nobody listens. */
export function deadAddress(): string {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return `127.0.0.1:${port}`;
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}
