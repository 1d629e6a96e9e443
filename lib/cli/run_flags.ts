/** `ormen run IMAGE [ARG...]`: the flags, and the task document that they make. */
import type { Command } from "commander";
import type { TaskDocument } from "../core/documents/task.ts";
import type { DeckError } from "../client/errors.ts";
import { collect } from "./context.ts";
import { CommandFailure, wrongUsage } from "./failure.ts";

export interface RunFlags {
  readonly name?: string;
  readonly env?: readonly string[];
  readonly cpu?: string;
  readonly memory?: string;
  readonly publish?: readonly string[];
  readonly volume?: readonly string[];
  readonly restart?: string;
  readonly health?: string;
  readonly label?: readonly string[];
  readonly constraint?: readonly string[];
  readonly user?: string;
  readonly workdir?: string;
  readonly grace?: string;
  readonly pull?: string;
  readonly runtime?: string;
  readonly reschedule?: string;
  readonly secret?: readonly string[];
}

const FLAGS = ["name", "env", "cpu", "memory", "publish", "volume", "restart", "health", "label", "constraint"].concat(
  ["user", "workdir", "grace", "pull", "runtime", "reschedule", "secret"],
);

/** Keys of the document whose flag is called otherwise. */
const FLAG_OF: Readonly<Record<string, string>> = {
  ports: "publish",
  volumes: "volume",
  labels: "label",
  secrets: "secret",
  constraints: "constraint",
};

export function withRunFlags(command: Command): Command {
  return command
    .option("--name <name>", "name of the task (default: from the image)")
    .option("-e, --env <key=value>", "environment variable; KEY alone passes yours on (repeatable)", collect)
    .option("--cpu <cores>", "cores to reserve and cap, such as 0.5")
    .option("--memory <size>", "memory to reserve and cap, such as 64MiB")
    .option("--publish <ports>", "host:container, or container for a port of the Engine's choice (repeatable)", collect)
    .option("--volume <mount>", "name:/path or /host:/path, :ro to forbid writing (repeatable)", collect)
    .option("--restart <policy>", "no, on-failure[:n], always or unless-stopped (default: no)")
    .option("--health <check>", "/path (HTTP), 8080/path, tcp:7777 or exec:command")
    .option("--label <key=value>", "label (repeatable)", collect)
    .option("--constraint <text>", 'such as "node.labels.zone == eu" (repeatable)', collect)
    .option("--user <user>", "user in the container")
    .option("--workdir <dir>", "working directory in the container")
    .option("--grace <duration>", "time from the stop signal to the kill (default: 10s)")
    .option("--pull <when>", "missing, always or never (default: missing)")
    .option("--runtime <name>", "docker or process (default: docker)")
    .option("--secret <name>", "secret as the variable of its name, or NAME:/path as a file (repeatable)", collect)
    .option("--reschedule <when>", "on another node: true, lost or false (default: lost)");
}

/** Flags that were given; in a file they are keys. */
export function flagsGiven(flags: RunFlags): string[] {
  return FLAGS.filter((name) => flags[name as keyof RunFlags] !== undefined).map((name) => `--${name}`);
}

/** Only what was said: the deck knows the defaults. `random` gives the end of a generated name. */
export function documentOf(
  image: string,
  args: readonly string[],
  flags: RunFlags,
  env: (name: string) => string | undefined,
  random: () => string,
): TaskDocument {
  const process = flags.runtime === "process";
  // `ormen run IMAGE -- cmd` means the same as without the dashes.
  const command = args[0] === "--" ? args.slice(1) : args;
  const document: Record<string, unknown> = {
    name: flags.name ?? `${baseOf(image)}-${random()}`,
    // A host process has no image: its first word is the program.
    ...(process ? { cmd: [image, ...command] } : { image, cmd: command.length > 0 ? command : undefined }),
    env: flags.env && pairs("--env", flags.env, env),
    cpu: flags.cpu === undefined ? undefined : numberOf("--cpu", flags.cpu),
    memory: flags.memory,
    ports: flags.publish,
    volumes: flags.volume,
    restart: flags.restart,
    health: flags.health === undefined ? undefined : healthOf(flags.health),
    labels: flags.label && pairs("--label", flags.label, () => ""),
    constraints: flags.constraint,
    user: flags.user,
    workdir: flags.workdir,
    grace: flags.grace,
    pull: flags.pull,
    runtime: flags.runtime,
    reschedule: flags.reschedule === undefined ? undefined : rescheduleOf(flags.reschedule),
    secrets: flags.secret && Object.fromEntries(flags.secret.map(secretOf)),
  };
  return JSON.parse(JSON.stringify(document));
}

/** A deck's refusal in terms of flags: `--memory: not a size: "64XB"`. */
export function explainFlags(error: DeckError): CommandFailure | undefined {
  const problems = (error.problem?.errors ?? []).map(({ pointer, detail }) => {
    const key = pointer.replace(/^#/, "").split("/")[1] ?? "";
    return key === "" ? detail : key === "image" ? `IMAGE: ${detail}` : `--${FLAG_OF[key] ?? key}: ${detail}`;
  });
  if (problems.length === 0) return undefined;
  return new CommandFailure(problems[0], [...problems.slice(1), "see  ormen run --help"]);
}

/** `timboring/echo-server:latest` -> `echo-server` */
function baseOf(image: string): string {
  const last = image.split("@")[0].split("/").at(-1)!.split(":")[0];
  return last.replace(/[^a-zA-Z0-9_.-]/g, "").replace(/^[^a-zA-Z0-9]+/, "").slice(0, 100) || "task";
}

function pairs(
  flag: string,
  texts: readonly string[],
  fallback: (key: string) => string | undefined,
): Record<string, string> {
  const result: [string, string][] = [];
  for (const text of texts) {
    const at = text.indexOf("=");
    const key = at < 0 ? text : text.slice(0, at);
    if (key === "") throw wrongUsage(`${flag} needs KEY=VALUE, not "${text}"`);
    const value = at < 0 ? fallback(key) : text.slice(at + 1);
    if (value !== undefined) result.push([key, value]);
  }
  return Object.fromEntries(result);
}

/** `DB_URL`, or `DB_URL:/run/db`. */
function secretOf(text: string): [string, { readonly file?: string }] {
  const at = text.indexOf(":");
  return at < 0 ? [text, {}] : [text.slice(0, at), { file: text.slice(at + 1) }];
}

function numberOf(flag: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw wrongUsage(`${flag} needs a number, not "${text}"`);
  return value;
}

function healthOf(text: string): Record<string, unknown> {
  const http = /^:?(\d{1,5})?(\/\S*)$/.exec(text);
  if (http) return { http: http[2], ...(http[1] === undefined ? {} : { port: Number(http[1]) }) };
  const tcp = /^tcp:(\d{1,5})$/.exec(text);
  if (tcp) return { tcp: Number(tcp[1]) };
  // As docker's --health-cmd: the container's own shell reads it.
  if (/^exec:./s.test(text)) return { exec: ["sh", "-c", text.slice("exec:".length)] };
  throw wrongUsage(`--health is no check: "${text}"`, 'write /path, 8080/path, tcp:7777 or "exec:command"');
}

function rescheduleOf(text: string): boolean | string {
  if (text === "true" || text === "false") return text === "true";
  if (text === "lost") return text;
  throw wrongUsage(`--reschedule is true, lost or false, not "${text}"`);
}
