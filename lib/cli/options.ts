/**
 * Options of the long-running commands as plain objects, and how texts become them. What cannot work is refused here,
 * before anything is opened, with a sentence that names the flag.
 */
import { parseDuration, parseSize } from "../core/documents/units.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";
import type { TokenSource } from "./token_file.ts";

/** What a started deck or sailor hands back to its command. */
export interface Running {
  /** Where it listens, with the true port. */
  readonly url: string;
  /** For the line that says so: `data in /var/lib/ormen/deck, term 3`. */
  readonly about?: string;
  /** Resolves when it has ended, by `stop` or by itself; rejects when it cannot go on. */
  readonly finished: Promise<void>;
  stop(): Promise<void>;
}

export const SCHEDULERS = ["roundrobin", "greedy", "epvm", "binpack", "spread"] as const;
export type SchedulerName = typeof SCHEDULERS[number];

export const DB_TYPES = ["memory", "persistent"] as const;
export type DbType = typeof DB_TYPES[number];

export const RUNTIMES = ["docker", "process"] as const;
export type RuntimeName = typeof RUNTIMES[number];

export const LOG_FORMATS = ["pretty", "json"] as const;
export type LogFormat = typeof LOG_FORMATS[number];

export interface ListenOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Asked of everybody who calls; null: of nobody. */
  readonly tokens: TokenSource | null;
  readonly insecure: boolean;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  /** PEM: authorities that are trusted, besides the system's, when this dials. */
  readonly caCerts: readonly string[];
  readonly dbType: DbType;
  /** Absolute; not used by a memory deck. */
  readonly dataDir: string;
  readonly logFormat: LogFormat;
}

/** A sailor that the deck dials: `host:port` as given (it names the node), and the token of its own listener. */
export interface Worker {
  readonly address: string;
  /** Dialled with TLS. */
  readonly tls: boolean;
  readonly token: TokenSource | null;
}

export interface DeckOptions extends ListenOptions {
  readonly workers: readonly Worker[];
  readonly scheduler: SchedulerName;
  readonly heartbeatMs: number;
  readonly nodeTimeoutMs: number;
  readonly keepTasks: number;
  readonly keepForMs: number;
}

export interface SailorOptions extends ListenOptions {
  /** Null: the one kept in the data directory, made from the host's name the first time. */
  readonly name: string | null;
  /** URL of a deck to dial; null: waits to be dialled. */
  readonly join: string | null;
  /** Of that deck. */
  readonly joinToken: TokenSource | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly runtimes: readonly RuntimeName[];
  /** Absolute paths of this machine that tasks may bind, and what lies under them. */
  readonly allowBinds: readonly string[];
  readonly allowHostNetwork: boolean;
  /** Make requests that steps of workflows ask for. */
  readonly http: boolean;
  /** Kept free for the machine itself. */
  readonly reserveCpuCores: number;
  readonly reserveMemoryBytes: number;
  /** What others are told to find it under; null: the listener's own host. */
  readonly advertiseHost: string | null;
  /** File in Docker's config format; null: none. Never leaves this machine. */
  readonly registryAuthFile: string | null;
  /** Take orders from a deck of another cluster or with a lower term, once. */
  readonly adopt: boolean;
}

export function portOf(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw wrongUsage(`${flag} is no port: "${text}"`, "write a number from 1 to 65535, or 0 for any that is free");
}

export function durationOf(flag: string, text: string, minMs: number): number {
  const ms = parseDuration(text);
  if (ms === undefined) {
    throw wrongUsage(`${flag} is no duration: "${text}"`, "write it with a unit, such as 2s or 1m30s");
  }
  if (ms < minMs) throw wrongUsage(`${flag} is too short: "${text}"; at least ${minMs}ms`);
  return ms;
}

export function sizeOf(flag: string, text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw wrongUsage(`${flag} is no size: "${text}"`, "write bytes or a unit, such as 512MiB");
  return bytes;
}

export function countOf(flag: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw wrongUsage(`${flag} needs a whole number, not "${text}"`);
}

export function coresOf(flag: string, text: string): number {
  const cores = Number(text);
  if (text.trim() !== "" && Number.isFinite(cores) && cores >= 0) return cores;
  throw wrongUsage(`${flag} needs a number of cores, not "${text}"`);
}

/** Names from a comma list; each one of `known`, at least one. */
export function namesOf<T extends string>(flag: string, text: string, known: readonly T[]): T[] {
  const names = [...new Set(text.split(",").map((name) => name.trim()).filter((name) => name !== ""))];
  const unknown = names.find((name) => !(known as readonly string[]).includes(name));
  if (unknown !== undefined) throw wrongUsage(`${flag} does not know "${unknown}"; one of ${known.join(", ")}`);
  if (names.length === 0) throw wrongUsage(`${flag} names nothing; one of ${known.join(", ")}`);
  return names as T[];
}

/** Paths for --allow-binds: absolute, and such as a volume of a task can name. */
export function bindPathsOf(flag: string, texts: readonly string[]): string[] {
  const bad = texts.find((text) => !text.startsWith("/") || text.includes(":") || text.length > 4096);
  if (bad !== undefined) throw wrongUsage(`${flag} needs an absolute path without colons, not "${bad}"`);
  return [...new Set(texts)];
}

/** `zone=eu,disk=ssd`, repeatable. */
export function labelsOf(flag: string, texts: readonly string[]): Record<string, string> {
  const entries = texts.flatMap((text) => text.split(",")).filter((text) => text !== "").map((text) => {
    const at = text.indexOf("=");
    const key = at < 0 ? text : text.slice(0, at);
    if (at < 1 || !/^[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,126}[A-Za-z0-9])?$/.test(key)) {
      throw wrongUsage(`${flag} needs KEY=VALUE, not "${text}"`);
    }
    return [key, text.slice(at + 1)] as const;
  });
  return Object.fromEntries(entries);
}

/** Comma lists of `host:port` or `https://host:port`; an empty text is none. The port may be left out. */
export function addressesOf(
  flag: string,
  texts: readonly string[],
  defaultPort: number,
): { readonly address: string; readonly tls: boolean }[] {
  const found = new Map<string, { readonly address: string; readonly tls: boolean }>();
  for (const text of texts.flatMap((each) => each.split(",")).map((each) => each.trim())) {
    if (text === "") continue;
    const match = /^(https?:\/\/)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?\/?$/.exec(text);
    if (!match || Number(match[3] ?? 1) < 1 || Number(match[3] ?? 1) > 65_535) {
      throw wrongUsage(
        `${flag} is no address: "${text}"`,
        "write host:port, such as localhost:5556, or https://host:port",
      );
    }
    const address = `${match[2]}:${match[3] ?? defaultPort}`;
    if (!found.has(address)) found.set(address, { address, tls: match[1] === "https://" });
  }
  return [...found.values()];
}

/** `deck:5555` or a URL, as a URL. */
export function joinOf(text: string): string {
  const url = /^(https?|wss?):\/\//.test(text) ? text.replace(/^ws/, "http") : `http://${text}`;
  if (text.trim() === "" || !URL.canParse(url)) {
    throw wrongUsage(`--join is no deck's address: "${text}"`, "write http://deck:5555");
  }
  const { protocol, host, port } = new URL(url);
  return `${protocol}//${host}${port === "" && protocol === "http:" && !/:80\/?$/.test(url) ? ":5555" : ""}`;
}

/** Throws when anybody on the network could command this machine. `who` is deck or sailor. */
export function refuseOpenDoor(who: string, options: Pick<ListenOptions, "host" | "tokens" | "insecure">): void {
  if (isLoopback(options.host) || options.tokens !== null || options.insecure) return;
  throw new CommandFailure(
    `the ${who} will not listen on ${options.host} without a token: whoever reaches it could run anything here`,
    [
      `make one   head -c 32 /dev/urandom | base64 > token   and give it with --token-file token or ORMEN_TOKEN`,
      `or listen on 127.0.0.1, or say --insecure`,
    ],
  );
}

export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  return bare === "localhost" || bare === "::1" || /^127(\.\d{1,3}){3}$/.test(bare);
}

/**
 * Where `who` keeps its data unless told: what systemd gives, /var/lib for root, the user's own place otherwise; one
 * directory for each port, so that several may live on one machine. Throws where there is no such place.
 */
export function defaultDataDir(
  who: string,
  isDefaultPort: boolean,
  port: number,
  env: (name: string) => string | undefined,
  uid = Deno.uid(),
): string {
  const name = isDefaultPort ? who : `${who}-${port}`;
  const given = env("STATE_DIRECTORY")?.split(":")[0];
  if (given) return `${given}/${name}`;
  if (uid === 0) return `/var/lib/ormen/${name}`;
  const shared = env("XDG_DATA_HOME") || (env("HOME") && `${env("HOME")}/.local/share`);
  if (!shared) throw wrongUsage("there is no HOME to keep data in", `give the ${who} a --data-dir`);
  return `${shared}/ormen/${name}`;
}
