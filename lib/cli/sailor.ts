/** `ormen sailor`: runs a worker. Owns its flags; start_sailor.ts, loaded when all of them are right, does the rest. */
import type { Command } from "commander";
import { action, collect, type Context, printJson, withExample, withJson } from "./context.ts";
import { SAILOR_PORT } from "./deck.ts";
import { wrongUsage } from "./failure.ts";
import { runUntilSignal } from "./lifetime.ts";
import { type ListenFlags, listenOptions, withListen, withoutSecrets } from "./listen.ts";
import { bindPathsOf, coresOf, joinOf, labelsOf, namesOf, RUNTIMES, type SailorOptions, sizeOf } from "./options.ts";
import { listenerTokens } from "./token_file.ts";
import { systemdUnit } from "./unit.ts";

export interface SailorFlags extends ListenFlags {
  readonly name?: string;
  readonly join?: string;
  readonly joinTokenFile?: string;
  readonly labels?: readonly string[];
  readonly runtime: string;
  readonly allowBinds?: readonly string[];
  readonly allowHostNetwork?: boolean;
  /** Commander's way to say --no-http. */
  readonly http?: boolean;
  readonly reserveCpu: string;
  readonly reserveMemory: string;
  readonly advertiseHost?: string;
  readonly registryAuth?: string;
  readonly adopt?: boolean;
}

export function addSailor(program: Command, context: Context, args: readonly string[]): void {
  const command = program.command("sailor").description("run a worker");
  withListen(command, SAILOR_PORT)
    .option("-n, --name <name>", "name of the node (default: kept in the data directory)")
    .option("--join <url>", "dial this deck, such as http://deck:5555 (default: wait to be dialled)")
    .option("--join-token-file <file>", "file with that deck's token (default: the token of this sailor)")
    .option("--labels <k=v>", "labels of the node, comma list or repeated", collect)
    .option("--reserve-cpu <cores>", "cores kept for the machine itself", "0")
    .option("--reserve-memory <size>", "memory kept for the machine itself", "0")
    .option("--advertise-host <name>", "host under which others reach this machine")
    .option("--registry-auth <file>", "registry credentials, in Docker's config format; they stay here")
    .option("--adopt", "obey a deck of another cluster or with older data from now on");
  withBounds(command);
  withExample(
    withJson(command),
    "ormen sailor -p 5556",
    "ormen sailor --allow-binds /srv/data --allow-binds /etc/ssl/certs",
    "ormen sailor --join http://deck:5555 --labels zone=eu --token-file /etc/ormen/token",
  );
  command.action(action(context, (flags: SailorFlags) => sailor(context, flags, args)));
}

/** What tasks may do to this machine. Nothing unless said. */
export function withBounds(command: Command): Command {
  return command
    .option("--runtime <list>", "docker, process or both; process runs programs of this host", "docker")
    .option(
      "--allow-binds <path...>",
      "let tasks bind this directory or file of the host and what is under it",
      collect,
    )
    .option("--allow-host-network", "let tasks use the host's network")
    .option("--no-http", "make no http requests for workflows");
}

async function sailor(context: Context, flags: SailorFlags, args: readonly string[]): Promise<number> {
  if (flags.printUnit) return printUnit(context, flags, args);
  const options = sailorOptions(context, flags);
  const start = async () => (await import("./start_sailor.ts")).startSailor(options);
  return await runUntilSignal(
    context,
    [{ name: "sailor", address: `${options.host}:${options.port}`, start }],
    flags.json === true,
  );
}

/** Throws wrong usage, and the refusal to listen on a network without a token. */
export function sailorOptions(context: Context, flags: SailorFlags): SailorOptions {
  const listen = listenOptions(context, "sailor", flags, SAILOR_PORT);
  if (flags.name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(flags.name)) {
    throw wrongUsage(`--name is no node's name: "${flags.name}"`, "use letters, digits, _ . and -");
  }
  return {
    ...listen,
    name: flags.name ?? null,
    join: flags.join === undefined ? null : joinOf(flags.join),
    joinToken: flags.joinTokenFile === undefined ? listen.tokens : listenerTokens(context.io, flags.joinTokenFile),
    labels: labelsOf("--labels", flags.labels ?? []),
    runtimes: namesOf("--runtime", flags.runtime, RUNTIMES),
    allowBinds: bindPathsOf("--allow-binds", flags.allowBinds ?? []),
    allowHostNetwork: flags.allowHostNetwork === true,
    http: flags.http !== false,
    reserveCpuCores: coresOf("--reserve-cpu", flags.reserveCpu),
    reserveMemoryBytes: sizeOf("--reserve-memory", flags.reserveMemory),
    advertiseHost: flags.advertiseHost ?? null,
    registryAuthFile: flags.registryAuth ?? null,
    adopt: flags.adopt === true,
  };
}

/** Checks all but the secrets: their files may lie on another machine. */
function printUnit(context: Context, flags: SailorFlags, args: readonly string[]): number {
  sailorOptions({ ...context, io: { ...context.io, env: () => undefined } }, {
    ...withoutSecrets(flags),
    joinTokenFile: undefined,
  });
  const runtimes = namesOf("--runtime", flags.runtime, RUNTIMES);
  const unit = systemdUnit({ who: "sailor", args, runtimes, binds: (flags.allowBinds ?? []).length > 0 });
  if (flags.json) printJson(context.io, { unit });
  else context.io.out(unit);
  return 0;
}
