/** Looks at a port or a page once. 200 and nothing else is healthy; redirects are not followed. */
import type { Prober, ProbeResult, ProbeTarget } from "../contracts/runtime.ts";

const OUTPUT_BYTES_MAX = 1024;

export function createProber(): Prober {
  return {
    probe: (target, timeoutMs) => target.kind === "http" ? probeHttp(target, timeoutMs) : probeTcp(target, timeoutMs),
  };
}

async function probeHttp(target: Extract<ProbeTarget, { kind: "http" }>, timeoutMs: number): Promise<ProbeResult> {
  const say = (text: string): string => `GET ${target.path} -> ${text}`;
  // A client of its own: a connection that is kept open would keep the container's listener busy.
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const host = target.host.includes(":") ? `[${target.host}]` : target.host;
    const response = await fetch(`http://${host}:${target.port}${target.path}`, {
      client,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body = await firstBytes(response);
    return {
      healthy: response.status === 200,
      output: say(body ? `${response.status}: ${body}` : `${response.status}`),
    };
  } catch (error) {
    return { healthy: false, output: say(reasonOf(error as Error, timeoutMs)) };
  } finally {
    client.close();
  }
}

async function firstBytes(response: Response): Promise<string> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  try {
    while (text.length < OUTPUT_BYTES_MAX) {
      const { done, value } = await reader.read();
      if (done) break;
      text += decoder.decode(value, { stream: true });
    }
  } finally {
    await reader.cancel();
  }
  return text.slice(0, OUTPUT_BYTES_MAX).trim();
}

async function probeTcp(target: Extract<ProbeTarget, { kind: "tcp" }>, timeoutMs: number): Promise<ProbeResult> {
  const where = `connect ${target.host}:${target.port} -> `;
  let late = false;
  const dialling = Deno.connect({ hostname: target.host, port: target.port });
  const timer = Promise.withResolvers<void>();
  const id = setTimeout(() => {
    late = true;
    timer.resolve();
  }, timeoutMs);
  const closing = dialling.then((connection) => connection.close());
  closing.catch(() => {}); // Its failure is the answer below, or comes after somebody cared.
  try {
    await Promise.race([closing, timer.promise]);
    return late
      ? { healthy: false, output: `${where}no answer within ${timeoutMs} ms` }
      : { healthy: true, output: `${where}open` };
  } catch (error) {
    return { healthy: false, output: where + reasonOf(error as Error, timeoutMs) };
  } finally {
    clearTimeout(id);
  }
}

function reasonOf(error: Error, timeoutMs: number): string {
  if (error.name === "TimeoutError") return `no answer within ${timeoutMs} ms`;
  const cause = (error.cause as Error | undefined)?.message ?? error.message;
  return /refused/i.test(cause) ? "connection refused" : cause.slice(0, OUTPUT_BYTES_MAX);
}
