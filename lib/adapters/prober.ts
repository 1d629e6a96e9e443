/**
 * Looks at a port or a page once. 200 and nothing else is healthy; redirects are not followed.
 *
 * Pages are asked for with node:http, not fetch: fetch goes through HTTP_PROXY where the sailor's environment has one, and
 * rewrites the path. Each look has a connection of its own: one that is kept open would keep the container's listener busy.
 */
import { get } from "node:http";
import type { IncomingMessage } from "node:http";
import type { Prober, ProbeResult, ProbeTarget } from "../contracts/runtime.ts";

const OUTPUT_BYTES_MAX = 1024;

export function createProber(): Prober {
  return {
    async probe(target, timeoutMs) {
      const patience = new AbortController();
      const timer = setTimeout(() => patience.abort(), timeoutMs);
      const look = target.kind === "http" ? probeHttp : probeTcp;
      const name = target.kind === "http" ? `GET ${target.path}` : `connect ${target.host}:${target.port}`;
      try {
        const { healthy, output } = await look(target as never, patience.signal);
        return { healthy, output: cut(`${name} -> ${output}`) };
      } catch (error) {
        const late = patience.signal.aborted;
        const reason = late ? `no answer within ${timeoutMs} ms` : reasonOf(error as Error);
        return { healthy: false, output: cut(`${name} -> ${reason}`) };
      } finally {
        clearTimeout(timer);
        patience.abort();
      }
    },
  };
}

async function probeHttp(
  { host, port, path }: Extract<ProbeTarget, { kind: "http" }>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { "user-agent": "ormen", connection: "close" };
    get({ host, port, path, headers, agent: false, signal }, resolve).on("error", reject);
  });
  const body = await firstText(response);
  const status = response.statusCode!;
  return { healthy: status === 200, output: body ? `${status}: ${body}` : `${status}` };
}

/** Leaving the loop early hangs up. */
async function firstText(response: IncomingMessage): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= OUTPUT_BYTES_MAX) break;
  }
  return text.trim();
}

async function probeTcp(
  { host, port }: Extract<ProbeTarget, { kind: "tcp" }>,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const connection = await Deno.connect({ hostname: host, port, signal });
  connection.close();
  return { healthy: true, output: "open" };
}

function reasonOf(error: Error): string {
  const { code } = error as { code?: string };
  if (code === "ECONNREFUSED" || error instanceof Deno.errors.ConnectionRefused) return "connection refused";
  return error.message;
}

/** Whole characters of at most so many bytes. */
function cut(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= OUTPUT_BYTES_MAX) return text;
  return new TextDecoder().decode(bytes.subarray(0, OUTPUT_BYTES_MAX), { stream: true });
}
