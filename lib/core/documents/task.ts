/**
 * The task document: what `ormen run -f`, `POST /v1/tasks` and (later) services and workflow steps take.
 * Owns its one vocabulary: the zod schema, the normalised `TaskSpec` it is parsed into, and the way back.
 * Everything behind the edge works on `TaskSpec`: bytes, milliseconds, no optional spellings.
 */
import { z } from "zod";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

/** How exits are answered on the node. `attemptsMax` counts restarts after exits with a code other than 0. */
export type RestartPolicy =
  | { readonly kind: "no" }
  | { readonly kind: "onFailure"; readonly attemptsMax: number | null }
  | { readonly kind: "always" }
  | { readonly kind: "unlessStopped" };

export type Protocol = "tcp" | "udp";

/** What users choose and nodes offer. */
export type HostRuntime = "docker" | "process";
export type RuntimeKind = HostRuntime | "http";

/** `host` null: a port of the Engine's choice. `hostIp` null: all addresses. */
export interface PortMapping {
  readonly container: number;
  readonly host: number | null;
  readonly hostIp: string | null;
  readonly protocol: Protocol;
}

/** `source` is an absolute path (bind) or a volume's name. */
export interface VolumeMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

export type HealthProbe =
  | { readonly kind: "http"; readonly path: string; readonly port: number | null }
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "exec"; readonly command: readonly string[] };

/** `port` of an http probe null: the task's first port. `retries` failed probes in a row make it unhealthy. */
export interface HealthCheck {
  readonly probe: HealthProbe;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly retries: number;
  readonly startPeriodMs: number;
}

/** `mode` as in chmod, 0o644 unless said. */
export interface FileSpec {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
}

export interface Constraint {
  /** `node.name`, `node.id`, `node.labels.KEY`, `node.runtime` */
  readonly attribute: string;
  readonly operator: "==" | "!=";
  readonly value: string;
}

/** A secret and how a task gets it: as the variable of its name (`file` null), or as a file. */
export interface SecretUse {
  readonly name: string;
  readonly file: string | null;
}

/** A service whose addresses a task gets: the first one as `VARIABLE_ADDR`, all of them in a file that is kept up to date. */
export interface ServiceBinding {
  readonly variable: string;
  readonly service: string;
}

/** One HTTP request that a sailor makes; it is the whole task. Texts are final: nothing is filled in any more. */
export interface HttpRequestSpec {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  /** Until the whole answer is there; null: 60 s. */
  readonly timeoutMs: number | null;
}

/** What the attempt of a workflow's step needs besides a task. */
export interface StepTask {
  /** Run instead of the image's own command: the shell's words, then the path of a file with the text. */
  readonly script: { readonly text: string; readonly shell: readonly string[] } | null;
  /** What it printed, and the file behind ORMEN_OUTPUT, are reported with its end. */
  readonly capture: boolean;
}

/** A task as the core knows it. `cpuCores` and `memoryBytes` null: the defaults are reserved and nothing is capped. */
export interface TaskSpec {
  readonly name: string;
  readonly image: string;
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly env: Readonly<Record<string, string>>;
  readonly cpuCores: number | null;
  readonly memoryBytes: number | null;
  readonly diskBytes: number;
  readonly ports: readonly PortMapping[];
  readonly volumes: readonly VolumeMount[];
  readonly restart: RestartPolicy;
  readonly health: HealthCheck | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly constraints: readonly Constraint[];
  readonly stopSignal: string | null;
  readonly graceMs: number;
  readonly user: string | null;
  readonly workdir: string | null;
  readonly network: string;
  readonly pull: "missing" | "always" | "never";
  /** `http`: no container, one request; only steps of workflows say that. */
  readonly runtime: RuntimeKind;
  readonly maxRestarts: number;
  /** true: when its node is lost or its restarts are used up; "lost": only when its node is lost; false: never. */
  readonly reschedule: boolean | "lost";
  readonly files: readonly FileSpec[];
  /** Absent, as the next two: none. Records of earlier versions know nothing of them. */
  readonly secrets?: readonly SecretUse[];
  readonly step?: StepTask;
  /** Only with the runtime `http`. */
  readonly http?: HttpRequestSpec;
  readonly bind?: readonly ServiceBinding[];
  /** Of a service's replica: healthy without a break for so long, it is told as `settled`. */
  readonly minHealthyMs?: number;
}

export const DEFAULT_CPU_CORES = 0.1;
export const DEFAULT_MEMORY_BYTES = 64 * 2 ** 20;
export const FILES_BYTES_MAX = 48 * 1024;
/** A stored value may take 64 KiB; what surrounds the spec in its record is small. */
export const SPEC_BYTES_MAX = 60 * 1024;

export const SERVICE_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_-]{0,47}$/;
export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/;
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,255}$/;
const LABEL_KEY = /^[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,126}[A-Za-z0-9])?$/;
const IMAGE = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$/;
const UNSAFE_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;
const plain = (max: number) =>
  z.string().min(1).max(max).refine((s) => !CONTROL.test(s), { message: "control characters are not allowed" });
export const argument = z.string().max(16_384).refine((s) => !s.includes("\0"), { message: "NUL is not allowed" });

const size = z.union([z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER), z.string().max(32)])
  .transform((value, context) => {
    const bytes = typeof value === "number" ? value : parseSize(value);
    if (bytes === undefined) {
      context.addIssue({ code: "custom", message: `not a size: "${value}"; write bytes or a unit, such as 64MiB` });
      return z.NEVER;
    }
    return bytes;
  });

export const duration = z.string().max(32).transform((value, context) => {
  const ms = parseDuration(value);
  if (ms === undefined) {
    context.addIssue({
      code: "custom",
      message: `not a duration: "${value}"; write it with a unit, such as 5s or 1m30s`,
    });
    return z.NEVER;
  }
  return ms;
});

const port = z.number().int().min(1).max(65_535);

const portMapping = z.union([z.string().max(128), port]).transform((value, context): PortMapping => {
  const parsed = parsePort(String(value));
  if (parsed) return parsed;
  context.addIssue({
    code: "custom",
    message:
      `not a port mapping: "${value}"; write "host:container", "container" or either with /udp (ports 1 to 65535)`,
  });
  return z.NEVER;
});

function parsePort(text: string): PortMapping | undefined {
  const match = /^(?:(?:(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:.]+\]):)?(\d{1,5}):)?(\d{1,5})(?:\/(tcp|udp))?$/.exec(
    text,
  );
  if (!match) return undefined;
  const [, hostIp, host, container, protocol] = match;
  const valid = (digits: string) => Number(digits) >= 1 && Number(digits) <= 65_535;
  if (!valid(container) || (host !== undefined && !valid(host))) return undefined;
  if (hostIp !== undefined && !hostIp.startsWith("[") && hostIp.split(".").some((octet) => Number(octet) > 255)) {
    return undefined;
  }
  return {
    container: Number(container),
    host: host === undefined ? null : Number(host),
    hostIp: hostIp === undefined ? null : hostIp.replace(/^\[|\]$/g, ""),
    protocol: (protocol ?? "tcp") as Protocol,
  };
}

const volume = z.string().max(4096).transform((value, context): VolumeMount => {
  const match = /^([^:]+):(\/[^:]*)(?::(ro|rw))?$/.exec(value);
  const source = match?.[1] ?? "";
  const isPath = source.startsWith("/");
  if (!match || CONTROL.test(value) || (!isPath && !NAME.test(source)) || value.split("/").includes("..")) {
    context.addIssue({
      code: "custom",
      message: `not a volume: "${value}"; write "name:/path" or "/host/path:/path", with ":ro" to forbid writing`,
    });
    return z.NEVER;
  }
  return { source, target: match[2], readOnly: match[3] === "ro" };
});

const restart = z.string().max(32).transform((value, context): RestartPolicy => {
  if (value === "no" || value === "") return { kind: "no" };
  if (value === "always") return { kind: "always" };
  if (value === "unless-stopped") return { kind: "unlessStopped" };
  const match = /^on-failure(?::(\d{1,6}))?$/.exec(value);
  if (match) return { kind: "onFailure", attemptsMax: match[1] === undefined ? null : Number(match[1]) };
  context.addIssue({
    code: "custom",
    message: `not a restart policy: "${value}"; one of no, on-failure, on-failure:3, always, unless-stopped`,
  });
  return z.NEVER;
});

const constraint = z.string().max(512).transform((value, context): Constraint => {
  const match = /^\s*(node\.(?:name|id|runtime|labels\.[A-Za-z0-9_./-]{1,128}))\s*(==|!=)\s*(\S.*?)\s*$/.exec(value);
  if (!match) {
    context.addIssue({
      code: "custom",
      message: `not a constraint: "${value}"; write "node.labels.zone == eu" or "node.name != host-a"`,
    });
    return z.NEVER;
  }
  return { attribute: match[1], operator: match[2] as "==" | "!=", value: match[3] };
});

const health = z.strictObject({
  http: z.string().max(1024).regex(/^\/[^\s]*$/, "must be a path that begins with /").optional(),
  tcp: port.optional(),
  exec: z.array(argument).min(1).max(64).optional(),
  port: port.optional(),
  interval: duration.default(5000),
  timeout: duration.default(1000),
  retries: z.number().int().min(1).max(1000).default(3),
  startPeriod: duration.default(0),
}).transform((value, context): HealthCheck => {
  const probes: HealthProbe[] = [];
  if (value.http !== undefined) probes.push({ kind: "http", path: value.http, port: value.port ?? null });
  if (value.tcp !== undefined) probes.push({ kind: "tcp", port: value.tcp });
  if (value.exec !== undefined) probes.push({ kind: "exec", command: value.exec });
  const problem = probes.length !== 1
    ? "health needs exactly one of http, tcp and exec"
    : value.port !== undefined && value.http === undefined
    ? "`port` belongs to an http check"
    : value.interval < 100
    ? "`interval` must be at least 100ms"
    : value.timeout < 10
    ? "`timeout` must be at least 10ms"
    : undefined;
  if (problem) {
    context.addIssue({ code: "custom", message: problem });
    return z.NEVER;
  }
  return {
    probe: probes[0],
    intervalMs: value.interval,
    timeoutMs: value.timeout,
    retries: value.retries,
    startPeriodMs: value.startPeriod,
  };
});

export const safeKey = (pattern: RegExp, what: string) =>
  z.string().refine((key) => pattern.test(key) && !UNSAFE_KEYS.has(key), { message: `not ${what}` });

/** An object whose keys users choose. A plain record drops `__proto__` silently, which would be a change unseen. */
export function mapOf<V extends z.ZodType>(key: z.ZodType<string, string>, value: V, entriesMax: number) {
  return z.record(key, value).refine((entries) => Object.keys(entries).length <= entriesMax, {
    message: `at most ${entriesMax} entries`,
  });
}

const scalar = z.union([z.string().max(32_768), z.number(), z.boolean()])
  .transform(String)
  .refine((s) => !s.includes("\0"), { message: "NUL is not allowed" });

export const filePath = z.string().max(1024).refine(
  (path) => path.startsWith("/") && !path.endsWith("/") && !CONTROL.test(path) && !path.split("/").includes(".."),
  { message: "a file's path must be absolute, without .." },
);

export const file = z.union([
  z.string(),
  z.strictObject({
    content: z.string(),
    mode: z.string().regex(/^0?[0-7]{3,4}$/, "write it as in chmod: 0755").optional(),
  }),
]);

export const environment = mapOf(safeKey(ENV_NAME, "a variable's name"), scalar, 256);
export const labelMap = mapOf(safeKey(LABEL_KEY, "a label's key"), z.string().max(1024), 64);

export const secretName = safeKey(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, "a secret's name, such as DB_URL");

/** `[DB_URL]`, each as the variable of its name, or `{ DB_URL: { file: /run/db } }`; `{}` is the variable again. */
export const secretUses = z.union([
  z.array(secretName).max(256).transform((names) => names.map((name): SecretUse => ({ name, file: null }))),
  mapOf(secretName, z.strictObject({ file: filePath.optional() }), 256).transform((uses) =>
    Object.entries(uses).map(([name, { file = null }]): SecretUse => ({ name, file }))
  ),
]);

const SERVICE_REFERENCE = new RegExp(`^service/(${SERVICE_NAME.source.slice(1, -1)})$`);

/** `{ WEB: service/web }`: WEB_ADDR and the file /ormen/services/web tell where that service answers. */
const serviceBindings = mapOf(
  safeKey(/^[A-Z_][A-Z0-9_]{0,127}$/, "the beginning of a variable's name in capitals, such as WEB"),
  z.string().regex(SERVICE_REFERENCE, "write service/NAME, such as service/web"),
  64,
).transform((bindings) =>
  Object.entries(bindings).map(([variable, text]): ServiceBinding => ({
    variable,
    service: SERVICE_REFERENCE.exec(text)![1],
  }))
);

/** The task document as users write it. Parsing gives a `TaskSpec`; unknown keys are refused. */
export const taskDocument = z.strictObject({
  name: z.string().regex(NAME, "a name has 1 to 128 letters, digits, _ . or -, and begins with a letter or digit"),
  image: z.string().regex(IMAGE, "not an image reference, such as example/web:1").optional(),
  entrypoint: z.array(argument).max(256).optional(),
  cmd: z.array(argument).max(256).optional(),
  env: environment.optional(),
  cpu: z.number().min(0.001).max(4096).optional(),
  memory: size.refine((b) => b === 0 || b >= 6 * 2 ** 20, { message: "an Engine takes no less than 6MiB" }).optional(),
  disk: size.optional(),
  ports: z.array(portMapping).max(64).optional(),
  volumes: z.array(volume).max(64).optional(),
  restart: restart.optional(),
  health: health.optional(),
  labels: labelMap.optional(),
  constraints: z.array(constraint).max(32).optional(),
  stopSignal: z.string().regex(/^(SIG[A-Z0-9+-]{2,12}|\d{1,2})$/, "a signal such as SIGTERM").optional(),
  grace: duration.refine((ms) => ms <= 86400e3, { message: "at most 1d" }).optional(),
  user: plain(128).optional(),
  workdir: z.string().max(1024).regex(/^\/[^\0]*$/, "must be an absolute path").optional(),
  network: z.string().regex(NAME, "a network's name, such as bridge").optional(),
  pull: z.enum(["missing", "always", "never"]).optional(),
  runtime: z.enum(["docker", "process"]).optional(),
  maxRestarts: z.number().int().min(0).max(1_000_000).optional(),
  reschedule: z.union([z.boolean(), z.literal("lost")]).optional(),
  files: mapOf(filePath, file, 64).optional(),
  secrets: secretUses.optional(),
  bind: serviceBindings.optional(),
}).transform((value, context): TaskSpec => {
  const runtime = value.runtime ?? "docker";
  const problem = (message: string, path: string[]) => context.addIssue({ code: "custom", message, path });
  if (runtime === "docker" && value.image === undefined) problem("a task needs an image", ["image"]);
  if (runtime === "process" && !value.cmd?.length && !value.entrypoint?.length) {
    problem("a task of the process runtime needs a cmd", ["cmd"]);
  }
  const files = Object.entries(value.files ?? {}).map(([path, entry]): FileSpec =>
    typeof entry === "string"
      ? { path, content: entry, mode: 0o644 }
      : { path, content: entry.content, mode: entry.mode === undefined ? 0o644 : parseInt(entry.mode, 8) }
  ).sort((a, b) => a.path < b.path ? -1 : 1);
  const filesBytes = files.reduce((sum, f) => sum + byteLength(f.content), 0);
  if (filesBytes > FILES_BYTES_MAX) {
    problem(`files hold ${filesBytes} bytes together; at most ${FILES_BYTES_MAX} are carried`, ["files"]);
  }
  const hosts = (value.ports ?? []).filter((p) => p.host !== null).map((p) => `${p.host}/${p.protocol}`);
  const twice = hosts.find((key, index) => hosts.indexOf(key) !== index);
  if (twice) problem(`host port ${twice} is listed twice`, ["ports"]);
  for (const { variable } of value.bind ?? []) {
    const own = [`${variable}_ADDR`, `${variable}_ADDRS`].find((name) => Object.hasOwn(value.env ?? {}, name));
    if (own !== undefined) {
      problem(`${own} is a variable of \`env\` too; which of the two should the task see?`, ["bind", variable]);
    }
  }
  const ports = value.ports ?? [];
  const probe = value.health?.probe;
  if (probe?.kind === "http" && probe.port === null && ports.length === 0) {
    problem("an http check without `port` uses the task's first port, and the task has none", ["health"]);
  }
  const spec: TaskSpec = {
    name: value.name,
    image: value.image ?? "",
    entrypoint: value.entrypoint ?? null,
    cmd: value.cmd ?? null,
    env: value.env ?? {},
    cpuCores: value.cpu ?? null,
    memoryBytes: value.memory ? value.memory : null,
    diskBytes: value.disk ?? 0,
    ports,
    volumes: value.volumes ?? [],
    restart: value.restart ?? { kind: "no" },
    health: value.health ?? null,
    labels: value.labels ?? {},
    constraints: value.constraints ?? [],
    stopSignal: value.stopSignal ?? null,
    graceMs: value.grace ?? 10_000,
    user: value.user ?? null,
    workdir: value.workdir ?? null,
    network: value.network ?? "bridge",
    pull: value.pull ?? "missing",
    runtime,
    maxRestarts: value.maxRestarts ?? 3,
    reschedule: value.reschedule ?? "lost",
    files,
    ...(value.secrets?.length ? { secrets: value.secrets } : {}),
    ...(value.bind?.length ? { bind: value.bind } : {}),
  };
  const specBytes = byteLength(JSON.stringify(spec));
  if (specBytes > SPEC_BYTES_MAX) {
    problem(`the task takes ${specBytes} bytes; at most ${SPEC_BYTES_MAX} can be kept`, []);
  }
  return spec;
});

/** What a user may write, as a type (before defaults). */
export type TaskDocument = z.input<typeof taskDocument>;

/** The document that parses into `spec`; values that equal their default are left out. */
export function describeTask(spec: TaskSpec): TaskDocument {
  const document: Record<string, unknown> = { name: spec.name };
  const put = (key: string, value: unknown, skip: boolean) => {
    if (!skip) document[key] = value;
  };
  put("image", spec.image, spec.image === "");
  put("entrypoint", spec.entrypoint, spec.entrypoint === null);
  put("cmd", spec.cmd, spec.cmd === null);
  put("env", spec.env, Object.keys(spec.env).length === 0);
  put("cpu", spec.cpuCores, spec.cpuCores === null);
  put("memory", formatSize(spec.memoryBytes ?? 0), spec.memoryBytes === null);
  put("disk", formatSize(spec.diskBytes), spec.diskBytes === 0);
  put("ports", spec.ports.map(formatPort), spec.ports.length === 0);
  put(
    "volumes",
    spec.volumes.map((v) => `${v.source}:${v.target}${v.readOnly ? ":ro" : ""}`),
    spec.volumes.length === 0,
  );
  put("restart", formatRestart(spec.restart), spec.restart.kind === "no");
  put("health", spec.health && describeHealth(spec.health), spec.health === null);
  put("labels", spec.labels, Object.keys(spec.labels).length === 0);
  put("constraints", spec.constraints.map(formatConstraint), spec.constraints.length === 0);
  put("stopSignal", spec.stopSignal, spec.stopSignal === null);
  put("grace", formatDuration(spec.graceMs), spec.graceMs === 10_000);
  put("user", spec.user, spec.user === null);
  put("workdir", spec.workdir, spec.workdir === null);
  put("network", spec.network, spec.network === "bridge");
  put("pull", spec.pull, spec.pull === "missing");
  put("runtime", spec.runtime, spec.runtime === "docker");
  // For people alone: no task document says it, and headers are nobody else's business.
  put("http", { method: spec.http?.method, url: spec.http?.url }, spec.http === undefined);
  put("maxRestarts", spec.maxRestarts, spec.maxRestarts === 3);
  put("reschedule", spec.reschedule, spec.reschedule === "lost");
  put(
    "files",
    Object.fromEntries(spec.files.map((f) => [
      f.path,
      f.mode === 0o644 ? f.content : { content: f.content, mode: `0${f.mode.toString(8).padStart(3, "0")}` },
    ])),
    spec.files.length === 0,
  );
  const { secrets = [] } = spec;
  const asFiles = secrets.some(({ file }) => file !== null);
  put(
    "secrets",
    asFiles
      ? Object.fromEntries(secrets.map(({ name, file }) => [name, file === null ? {} : { file }]))
      : secrets.map(({ name }) => name),
    secrets.length === 0,
  );
  const { bind = [] } = spec;
  put("bind", Object.fromEntries(bind.map((b) => [b.variable, `service/${b.service}`])), bind.length === 0);
  return document as TaskDocument;
}

export function formatPort(mapping: PortMapping): string {
  const ip = mapping.hostIp === null
    ? ""
    : mapping.hostIp.includes(":")
    ? `[${mapping.hostIp}]:`
    : `${mapping.hostIp}:`;
  const host = mapping.host === null ? "" : `${ip}${mapping.host}:`;
  return `${host}${mapping.container}${mapping.protocol === "udp" ? "/udp" : ""}`;
}

export function formatRestart(policy: RestartPolicy): string {
  switch (policy.kind) {
    case "no":
      return "no";
    case "always":
      return "always";
    case "unlessStopped":
      return "unless-stopped";
    case "onFailure":
      return policy.attemptsMax === null ? "on-failure" : `on-failure:${policy.attemptsMax}`;
    default:
      return policy satisfies never;
  }
}

export function formatConstraint(c: Constraint): string {
  return `${c.attribute} ${c.operator} ${c.value}`;
}

function describeHealth(check: HealthCheck): Record<string, unknown> {
  const probe = check.probe;
  return {
    ...(probe.kind === "http"
      ? { http: probe.path, ...(probe.port === null ? {} : { port: probe.port }) }
      : probe.kind === "tcp"
      ? { tcp: probe.port }
      : { exec: probe.command }),
    interval: formatDuration(check.intervalMs),
    timeout: formatDuration(check.timeoutMs),
    retries: check.retries,
    startPeriod: formatDuration(check.startPeriodMs),
  };
}

/** What of a task is carried to its sailor as texts for files; at most FILES_BYTES_MAX. */
export function carriedBytes(spec: Pick<TaskSpec, "files" | "step">): number {
  const files = spec.files.reduce((sum, file) => sum + byteLength(file.content), 0);
  return files + byteLength(spec.step?.script?.text ?? "");
}

/** UTF-8 bytes of a string, lone surrogates counted as the three bytes of their replacement. */
export function byteLength(text: string): number {
  let bytes = 0;
  for (const char of text) {
    const code = char.codePointAt(0)!;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return bytes;
}
