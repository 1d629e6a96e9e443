/** The options that deck, sailor and dev share: where to listen, who may call, where the data lie. */
import type { Command } from "commander";
import { Option } from "commander";
import { authoritiesOf, CA_HELP, type Context } from "./context.ts";
import { wrongUsage } from "./failure.ts";
import { DB_TYPES, type DbType, defaultDataDir, type ListenOptions, LOG_FORMATS, type LogFormat } from "./options.ts";
import { portOf, refuseOpenDoor } from "./options.ts";
import { listenerTokens } from "./token_file.ts";

export interface ListenFlags {
  readonly host: string;
  readonly port: string;
  readonly dbType: DbType;
  readonly dataDir?: string;
  readonly tokenFile?: string;
  readonly insecure?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly ca?: string;
  readonly logFormat?: LogFormat;
  readonly json?: boolean;
  readonly printUnit?: boolean;
}

export function withListen(command: Command, port: number): Command {
  return withData(
    command
      .option("-H, --host <address>", "address to listen on", "127.0.0.1")
      .option("-p, --port <port>", "port to listen on; 0 for any that is free", String(port)),
  )
    .option("--insecure", "listen on a network without a token")
    .option("--tls-cert <file>", "certificate (PEM): listen with TLS")
    .option("--tls-key <file>", "its key (PEM)")
    .option("--ca <file>", CA_HELP)
    .option("--print-unit", "print a systemd unit that runs this, and exit");
}

export function withData(command: Command): Command {
  return command
    .addOption(new Option("-d, --dbType <type>", "where state is kept").choices(DB_TYPES).default("persistent"))
    .option("--data-dir <dir>", "directory for the data (default: /var/lib/ormen/..., or ~/.local/share/ormen/...)")
    .option("--token-file <file>", "file with the token that callers must give (default: ORMEN_TOKEN)")
    .addOption(new Option("--log-format <format>", "default: pretty on a terminal").choices(LOG_FORMATS));
}

/** Throws what `refuseOpenDoor` throws. */
export function listenOptions(context: Context, who: string, flags: ListenFlags, defaultPort: number): ListenOptions {
  const { io } = context;
  const port = portOf("--port", flags.port);
  if ((flags.tlsCert === undefined) !== (flags.tlsKey === undefined)) {
    throw wrongUsage("--tls-cert and --tls-key belong together");
  }
  const options: ListenOptions = {
    host: flags.host.replace(/^\[|\]$/g, ""),
    port,
    tokens: listenerTokens(io, flags.tokenFile),
    insecure: flags.insecure === true,
    tls: flags.tlsCert && flags.tlsKey ? { certFile: flags.tlsCert, keyFile: flags.tlsKey } : null,
    caCerts: authoritiesOf(io, flags.ca),
    dbType: flags.dbType,
    dataDir: absolute(flags.dataDir ?? defaultDataDir(who, port === defaultPort, port, io.env)),
    logFormat: flags.logFormat ?? (Deno.stderr.isTerminal() ? "pretty" : "json"),
  };
  refuseOpenDoor(who, options);
  return options;
}

function absolute(path: string): string {
  return path.startsWith("/") ? path : `${Deno.cwd()}/${path}`;
}

/** For checking flags where the files that they name are not: a token file counts as a token. */
export function withoutSecrets<F extends ListenFlags>(flags: F): F {
  return {
    ...flags,
    tokenFile: undefined,
    ca: undefined,
    insecure: flags.insecure === true || flags.tokenFile !== undefined,
  };
}
