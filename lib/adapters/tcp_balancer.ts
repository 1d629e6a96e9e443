/**
 * A TCP balancer on this machine: each connection goes to one of the addresses that it was given last. An address that is
 * taken away gets no new connections; those that it has go on until they end.
 */
import type { Backend } from "../core/balance.ts";
import { chooseBackend } from "../core/balance.ts";

export interface Balancer {
  readonly host: string;
  readonly port: number;
  /** Each `host:port`. */
  setAddresses(addresses: readonly string[]): void;
  open(): number;
  /** Takes no more connections, and gives those that are open so long to end. */
  close(graceMs: number): Promise<void>;
}

export interface BalancerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** How long a connection waits for an address when there is none. */
  readonly waitMs: number;
  readonly connectMs: number;
  readonly connectionsMax: number;
  /** A connection that could not be served, in a sentence. */
  readonly onProblem: (problem: string) => void;
}

interface Counted {
  open: number;
  refusedMs: number | null;
}

const BUFFER_BYTES = 64 * 1024;

/** Throws Deno.errors.AddrInUse and the like. */
export function createBalancer(options: BalancerOptions): Balancer {
  const listener = Deno.listen({ hostname: options.host, port: options.port });
  const { hostname, port } = listener.addr as Deno.NetAddr;
  const counts = new Map<string, Counted>();
  const clients = new Set<Deno.Conn>();
  let addresses: readonly string[] = [];
  let arrived = Promise.withResolvers<void>();
  let turn = 0;
  let closing = false;
  let idle: () => void = () => {};
  void accept();

  async function accept(): Promise<void> {
    while (!closing) {
      let client: Deno.TcpConn;
      try {
        client = await listener.accept();
      } catch (error) {
        if (closing) return;
        options.onProblem(`a connection cannot be accepted: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      if (clients.size >= options.connectionsMax) {
        options.onProblem(`a connection is refused: ${options.connectionsMax} are open already`);
        client.close();
        continue;
      }
      clients.add(client);
      void serve(client).finally(() => {
        clients.delete(client);
        closeQuietly(client);
        if (clients.size === 0) idle();
      });
    }
  }

  async function serve(client: Deno.TcpConn): Promise<void> {
    const found = await connect();
    if (!found) return;
    const { backend, address } = found;
    try {
      await Promise.all([copy(client, backend), copy(backend, client)]);
    } catch {
      // One of the two broke off: the other learns it as one who talks to it directly would.
    } finally {
      closeQuietly(backend);
      countOf(address).open--;
      if (!addresses.includes(address) && countOf(address).open === 0) counts.delete(address);
    }
  }

  /** Each address is tried once, before anything was sent to any of them. */
  async function connect(): Promise<{ backend: Deno.TcpConn; address: string } | undefined> {
    if (addresses.length === 0) await atMost(options.waitMs, arrived.promise);
    const tried = new Set<string>();
    let why = "the service has no address now";
    while (!closing) {
      const backends = addresses.map((address): Backend => ({ address, ...countOf(address) }));
      if (backends.every(({ address }) => tried.has(address))) break;
      const { address } = chooseBackend(backends, { turn: turn++, nowMs: performance.now(), tried })!;
      tried.add(address);
      const count = countOf(address);
      count.open++;
      try {
        return { backend: await dial(address, options.connectMs), address };
      } catch (error) {
        count.open--;
        count.refusedMs = performance.now();
        why = `${address}: ${(error as Error).message}`;
      }
    }
    if (!closing) options.onProblem(`a connection cannot be served: ${why}`);
  }

  function countOf(address: string): Counted {
    const known = counts.get(address) ?? { open: 0, refusedMs: null };
    counts.set(address, known);
    return known;
  }

  return {
    host: hostname,
    port,
    setAddresses(now) {
      addresses = [...new Set(now)];
      for (const [address, { open }] of [...counts]) {
        if (open === 0 && !addresses.includes(address)) counts.delete(address);
      }
      if (addresses.length === 0) return;
      arrived.resolve();
      arrived = Promise.withResolvers<void>();
    },
    open: () => clients.size,
    async close(graceMs) {
      if (!closing) listener.close();
      closing = true;
      arrived.resolve();
      const ended = new Promise<void>((resolve) => idle = resolve);
      if (clients.size > 0) await atMost(graceMs, ended);
      for (const client of clients) closeQuietly(client);
      if (clients.size > 0) await ended;
    },
  };
}

async function dial(address: string, withinMs: number): Promise<Deno.TcpConn> {
  const colon = address.lastIndexOf(":");
  const hostname = address.slice(0, colon).replace(/^\[|\]$/g, "");
  const connecting = Deno.connect({ hostname, port: Number(address.slice(colon + 1)) });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${withinMs / 1000} s`)), withinMs);
  });
  try {
    return await Promise.race([connecting, late]);
  } catch (error) {
    connecting.then(closeQuietly, () => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Until `from` has said all; then `to` is told so, and may still answer. */
async function copy(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
  const buffer = new Uint8Array(BUFFER_BYTES);
  try {
    while (true) {
      const count = await from.read(buffer);
      if (count === null) break;
      let rest = buffer.subarray(0, count);
      while (rest.length > 0) rest = rest.subarray(await to.write(rest));
    }
    await to.closeWrite();
  } catch (error) {
    // Nobody is there to read, or to write, any more: the other direction must not wait for ever.
    closeQuietly(from);
    closeQuietly(to);
    throw error;
  }
}

function closeQuietly(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch { /* It was closed already. */ }
}

/** Until it has come, or the time is over. */
async function atMost(ms: number, awaited: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([awaited, new Promise<void>((resolve) => timer = setTimeout(resolve, ms))]);
  clearTimeout(timer);
}
