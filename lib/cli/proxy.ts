/** `ormen proxy`: a balancer on this machine over the addresses of a service. */
import type { Command } from "commander";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJsonLine } from "./context.ts";
import { withDeck, withExample, withJson } from "./context.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import { isLoopback } from "./options.ts";
import { clean } from "./render.ts";
import { parseDuration } from "../core/documents/units.ts";

interface ProxyOptions extends DeckOption, JsonOption {
  readonly listen: string;
  readonly host: string;
  readonly grace: string;
}

const WAIT_MS = 5_000;
const CONNECT_MS = 3_000;
const CONNECTIONS_MAX = 2_000;

export function addProxy(program: Command, context: Context): void {
  const command = program.command("proxy").argument("<service>", "name of a service")
    .description("balance TCP connections on this machine over a service's healthy replicas")
    .option("-l, --listen <port>", "port to listen on; 0 for any that is free", "8080")
    .option("-H, --host <address>", "address to listen on; there is no authentication in it", "127.0.0.1")
    .option("--grace <duration>", "how long open connections may take to end after ctrl-C", "10s")
    .addHelpText(
      "after",
      `
A connection goes to the replica with the fewest; one that leaves the list gets no new ones and keeps those it has. A
replica that cannot be connected is passed over. With no replica on the list a connection waits ${
        WAIT_MS / 1000
      } s for one.
At most ${CONNECTIONS_MAX} at a time.`,
    );
  withExample(withJson(withDeck(command)), "ormen proxy web --listen 8080");
  command.action(action(context, (service, options) => proxy(context, service, options)));
}

async function proxy(context: Context, service: string, options: ProxyOptions): Promise<void> {
  const { io } = context;
  const graceMs = parseDuration(options.grace);
  if (graceMs === undefined) throw wrongUsage(`--grace is not a duration: "${options.grace}"`, "write 10s or 1m30s");
  if (!/^\d{1,5}$/.test(options.listen) || Number(options.listen) > 65_535) {
    throw wrongUsage(`not a port: "${options.listen}"`);
  }
  const deck = deckOf(context, options);
  const stopping = new AbortController();
  const restore = (["SIGINT", "SIGTERM"] as const).map((signal) => io.onSignal(signal, () => stopping.abort()));
  const { createBalancer } = await import("../adapters/tcp_balancer.ts");
  // Before it listens: a name that is wrong is said at once.
  await deck.services.get(service);
  const balancer = listening(() =>
    createBalancer({
      host: options.host,
      port: Number(options.listen),
      waitMs: WAIT_MS,
      connectMs: CONNECT_MS,
      connectionsMax: CONNECTIONS_MAX,
      onProblem: (problem) => io.err(`${clean(problem)}\n`),
    }), options);
  let known: readonly string[] | undefined;
  let isAway = false;
  try {
    const watching = deck.services.watchAddresses(service, {
      signal: stopping.signal,
      onAway: () => {
        if (!isAway) io.err("the deck does not answer; going on with the last list\n");
        isAway = true;
      },
    });
    for await (const list of watching) {
      isAway = false;
      const now = list.addresses.map(({ address }) => address);
      balancer.setAddresses(now);
      if (options.json) printJsonLine(io, { listen: `${balancer.host}:${balancer.port}`, service, addresses: now });
      else if (known === undefined) {
        io.out(`listening on ${balancer.host}:${balancer.port} for ${clean(service)}: ${countOf(now)}\n`);
        if (!isLoopback(options.host)) io.out("note   whoever reaches this address reaches the service\n");
      } else if (changeOf(known, now) !== "") io.out(`${clean(service)}: ${countOf(now)} (${changeOf(known, now)})\n`);
      known = now;
    }
    if (!stopping.signal.aborted) throw new CommandFailure(`service ${service} is gone`);
  } finally {
    await balancer.close(graceMs);
    for (const undo of restore) undo();
  }
}

function listening<T>(listen: () => T, options: ProxyOptions): T {
  try {
    return listen();
  } catch (error) {
    throw new CommandFailure(`cannot listen on ${options.host}:${options.listen}: ${(error as Error).message}`, [
      "choose another port with --listen, or 0 for any that is free",
    ]);
  }
}

function countOf(addresses: readonly string[]): string {
  return addresses.length === 1 ? "1 address" : `${addresses.length} addresses`;
}

/** `+10.0.0.3:32771 -10.0.0.2:32768`. Exported for tests. */
export function changeOf(before: readonly string[], now: readonly string[]): string {
  return [
    ...now.filter((address) => !before.includes(address)).map((address) => `+${clean(address)}`),
    ...before.filter((address) => !now.includes(address)).map((address) => `-${clean(address)}`),
  ].join(" ");
}
