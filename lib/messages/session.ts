/**
 * The session protocol between deck and sailor, version 1: one JSON message a frame over one WebSocket.
 *
 * 1. The sailor speaks first (`hello`: all it has); the deck answers `welcome` (all it should have) or `refuse`. Of a sailor
 *    whose hello bears a key the deck first asks a proof (`challenge`, `proof`).
 * 2. After that the deck sends `assign` with a sequence that grows by one; a gap closes the session.
 * 3. A report is repeated in the next hello until the deck has acknowledged its revision.
 * 4. Every frame bears a number, `n`, counted from 1 in each direction; a gap closes the session, a frame that came before
 *    is ignored. Frames of older versions bear none.
 * 5. Unknown keys are ignored and unknown kinds are skipped, so that neighbouring versions understand each other.
 *
 * Streams (logs, exec) use a second socket: see stream.ts.
 */
import { z } from "zod";
import { ATTEMPT_STATES } from "../core/attempt.ts";
import type { Observation } from "../core/attempt.ts";
import type { LocalUse, MachineStats } from "../core/mast.ts";
import type { Assignment, AttemptCause, AttemptReport, StepResult } from "../core/outgoing.ts";
import { HEADERS_BYTES_MAX, HEADERS_MAX, OUTPUT_BYTES_MAX, STDOUT_BYTES_MAX } from "../core/outgoing.ts";
import { byteLength } from "../core/documents/task.ts";
import { cutToUtf8, fittingText, fittingUtf8, jsonBytes, line, wallTime } from "./bounded.ts";
import { taskSpec } from "./task_spec.ts";

export const PROTOCOL_VERSION = 1;
/** Paths at whoever is dialled, deck or sailor. */
export const SESSION_PATH = "/v1/session";
export const STREAM_PATH = "/v1/session/streams";

/** Ids become parts of containers' names and, at the process runtime, of paths. */
const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,159}$/, "not an id");
const wall = wallTime.nullable();
const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const count = z.number().int().nonnegative();
/** Both stand in a node's record. */
const LABELS_BYTES_MAX = 32 * 1024;
const ALLOWS_BYTES_MAX = 16 * 1024;
const REASON_BYTES = 2 * 1024;
const DAY_MS = 86_400_000;
/** A beat each few milliseconds would keep a sailor busy with nothing else. */
const period = z.number().int().min(10).max(2 ** 31);

const portNumber = z.number().int().min(0).max(65_535);
const boundPort = z.object({
  container: portNumber,
  protocol: z.enum(["tcp", "udp"]),
  hostIp: z.string().regex(/^[0-9A-Za-z.:%]{0,64}$/, "not an address"),
  host: portNumber,
});

// Together with 256 ports they leave an attempt's record below the store's 64 KiB.
const HEALTH_OUTPUT_BYTES = 6 * 1024;
const MESSAGE_BYTES = 6 * 1024;
const OUTPUT_TAIL_BYTES = 16 * 1024;

const observation: z.ZodType<Observation> = z.object({
  containerId: line(128).nullable(),
  containerName: line(256).nullable(),
  ports: z.array(boundPort).max(256),
  health: z.enum(["none", "starting", "healthy", "unhealthy"]),
  healthForMs: wallTime,
  healthOutput: fittingText(HEALTH_OUTPUT_BYTES).nullable(),
  restarts: count,
  healthRestarts: count,
  exitCode: z.number().int().nullable(),
  oomKilled: z.boolean(),
  startedMs: wall,
  finishedMs: wall,
  message: fittingText(MESSAGE_BYTES).nullable(),
  outputTail: fittingText(OUTPUT_TAIL_BYTES, "end").nullable(),
  /** Absent: not a replica of a service, unknown yet, or the sailor is older. */
  settled: z.boolean().optional(),
});

/**
 * What is too large here was not bounded by its sailor. Texts for people are cut; half of what a program reads would be
 * something else than was said, so it is left out and told.
 */
const result: z.ZodType<StepResult> = z.object({
  stdout: z.string(),
  stderr: fittingUtf8(STDOUT_BYTES_MAX),
  truncated: z.boolean(),
  output: z.string().nullable(),
  answer: z.object({
    status: z.number().int().min(100).max(999),
    headers: z.record(z.string().max(1_024), z.string()),
  }).nullable(),
  problem: fittingText(MESSAGE_BYTES).nullable(),
}).transform(({ stdout, output, answer, ...rest }): StepResult => {
  const beginning = cutToUtf8(stdout, STDOUT_BYTES_MAX);
  const isLarge = output !== null && byteLength(output) > OUTPUT_BYTES_MAX;
  return {
    ...rest,
    stdout: beginning,
    truncated: rest.truncated || beginning.length < stdout.length,
    output: isLarge || output === null ? null : output.toWellFormed(),
    answer: answer && { ...answer, headers: fittingHeaders(answer.headers) },
    problem: isLarge ? rest.problem ?? `ORMEN_OUTPUT holds more than ${OUTPUT_BYTES_MAX / 1024} KiB` : rest.problem,
  };
});

/** The first ones that fit. */
function fittingHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  let left = HEADERS_BYTES_MAX;
  const kept = Object.entries(headers).slice(0, HEADERS_MAX)
    .filter(([name, value]) => (left -= byteLength(name) + byteLength(value)) >= 0);
  return Object.fromEntries(kept);
}

const report: z.ZodType<AttemptReport> = z.object({
  attemptId: id,
  sailId: id,
  number: z.number().int().positive(),
  revision: z.number().int().nonnegative(),
  state: z.enum(ATTEMPT_STATES).exclude(["assigned", "unknown"]),
  cause: z.enum(["exited", "restartsUsedUp", "notCreated", "vanished", "stopped"]).nullable(),
  observed: observation,
  /** Absent: its task asks for none, it has not ended, or the sailor is older. */
  result: result.optional(),
});

const SECRET_CHARS_MAX = 64 * 1024;

const SERVICE_ADDRESSES_MAX = 2_000;
const serviceAddresses = z.record(
  z.string().max(64),
  z.array(z.string().max(300)).max(SERVICE_ADDRESSES_MAX),
);

const assignment: z.ZodType<Assignment> = z.object({
  attemptId: id,
  sailId: id,
  number: z.number().int().positive(),
  desired: z.enum(["run", "stop"]),
  graceMs: z.number().nonnegative().max(DAY_MS),
  known: z.boolean(),
  spec: taskSpec,
  secrets: z.record(z.string().max(256), z.string().max(SECRET_CHARS_MAX)).optional(),
  services: serviceAddresses.optional(),
});

const FIGURES_MAX = 256;
const figures = <V extends z.ZodType>(value: V) =>
  z.record(z.string().max(64), value).refine((record) => Object.keys(record).length <= FIGURES_MAX, {
    message: `at most ${FIGURES_MAX} figures`,
  });

const stats: z.ZodType<MachineStats> = z.object({
  memory: figures(z.number()),
  disk: z.object({ all: z.number(), used: z.number(), free: z.number(), freeInodes: z.number() }),
  cpu: figures(z.union([z.number(), z.string().max(256)])),
  load: figures(z.number()),
  taskCount: count,
});

const localUse: z.ZodType<LocalUse> = z.object({
  cpuCores: amount,
  memoryBytes: amount,
  diskBytes: amount,
  hostPorts: z.array(z.string().max(16)).max(10_000),
  taskCount: count,
});

/** Runtimes that do not answer; absent from sailors that do not tell. */
const runtimesAway = z.array(z.enum(["docker", "process"])).max(4).optional();

const hello = z.object({
  kind: z.literal("hello"),
  protocol: z.number().int(),
  version: line(64),
  nodeId: id,
  /** Ed25519, base64url; absent: an older sailor. */
  publicKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/).optional(),
  name: line(255).min(1),
  /** Made anew by each process. */
  instance: id,
  /** Null: never joined a cluster. */
  clusterId: id.nullable(),
  highestTerm: z.number().int().nonnegative(),
  /** `host:port` of the sailor's own API; null: none that others reach. */
  address: line(255).nullable(),
  engineId: line(255).min(1),
  runtimes: z.array(z.enum(["docker", "process"])).max(4),
  /** Of the machine itself; sailors of earlier versions do not say. */
  allows: z.object({ binds: z.array(line(4096)).max(1_000), hostNetwork: z.boolean() })
    .refine((allows) => jsonBytes(allows) <= ALLOWS_BYTES_MAX, {
      message: `allowed binds take at most ${ALLOWS_BYTES_MAX / 1024} KiB together`,
    }).optional(),
  capacity: z.object({ cpuCores: amount, memoryBytes: amount, diskBytes: amount }),
  labels: z.record(line(256), line(1024)).refine((labels) => jsonBytes(labels) <= LABELS_BYTES_MAX, {
    message: `labels take at most ${LABELS_BYTES_MAX / 1024} KiB together`,
  }),
  /** All attempts that are not both ended and acknowledged. */
  attempts: z.array(report).max(100_000),
  local: localUse,
  stats: stats.nullable(),
  runtimesAway,
  /** An open set: a deck knows some of its words. Sailors of earlier versions have none. */
  abilities: z.array(line(64)).max(32).optional(),
});

/** Answers a challenge. */
const proof = z.object({ kind: z.literal("proof"), signature: z.string().max(128) });
const reports = z.object({ kind: z.literal("reports"), reports: z.array(report).max(100_000) });
const heartbeat = z.object({ kind: z.literal("heartbeat"), local: localUse, stats: stats.nullable(), runtimesAway });
/** Asks a deck that accepts sessions to be sent the whole list again (sent before closing on a gap, for its log). */
const leaving = z.object({ kind: z.literal("leaving"), reason: fittingText(REASON_BYTES) });

const welcome = z.object({
  kind: z.literal("welcome"),
  protocol: z.number().int(),
  version: line(64),
  clusterId: id,
  term: z.number().int().positive(),
  sessionId: id,
  heartbeatMs: period,
  /** Silence after which either side gives the session up. */
  timeoutMs: period,
  /** The complete list; what is not on it and belongs to this cluster is to be stopped. */
  assignments: z.array(assignment).max(100_000),
});

/** Additions and changes; `drop` names attempts that are not on the list any more. */
const assign = z.object({
  kind: z.literal("assign"),
  term: z.number().int().positive(),
  sequence: z.number().int().positive(),
  assignments: z.array(assignment).max(100_000),
  drop: z.array(id).max(100_000),
});

const acknowledge = z.object({
  kind: z.literal("acknowledge"),
  reports: z.array(z.object({ attemptId: id, revision: z.number().int() })).max(100_000),
});

/** Whole lists of the services that are named; what is not named is as it was. */
const services = z.object({ kind: z.literal("services"), services: serviceAddresses });

/** Answered by a heartbeat at once: asks whether the other end still lives. */
const ping = z.object({ kind: z.literal("ping") });

/**
 * foreignCluster  the node belongs to another cluster
 * staleTerm       the sailor has seen a newer deck
 * secondInstance  another process with the same node id answers
 * protocol        no common version
 */
/** Asks a sailor whose hello bears a key to prove that it has it: see session/node_proof.ts for what is signed. */
const challenge = z.object({ kind: z.literal("challenge"), clusterId: id, nonce: z.string().min(1).max(256) });

const refuse = z.object({
  kind: z.literal("refuse"),
  code: z.enum(["foreignCluster", "staleTerm", "secondInstance", "protocol", "unauthorized", "starting"]),
  message: fittingText(REASON_BYTES),
});

export type { Assignment, AttemptCause, AttemptReport };
export type Hello = z.infer<typeof hello>;
export type Welcome = z.infer<typeof welcome>;
export type Refuse = z.infer<typeof refuse>;
export type Proof = z.infer<typeof proof>;
export type Challenge = z.infer<typeof challenge>;
export type SailorMessage =
  | Hello
  | Proof
  | z.infer<typeof reports>
  | z.infer<typeof heartbeat>
  | z.infer<typeof leaving>
  | Refuse;
export type DeckMessage =
  | Welcome
  | Refuse
  | Challenge
  | z.infer<typeof assign>
  | z.infer<typeof acknowledge>
  | z.infer<typeof services>
  | z.infer<typeof ping>;

/** Exported for those who make messages up; whoever reads one takes the functions below. */
export const sailorMessage = z.discriminatedUnion("kind", [hello, proof, reports, heartbeat, leaving, refuse]);
export const deckMessage = z.discriminatedUnion("kind", [
  welcome,
  refuse,
  challenge,
  assign,
  acknowledge,
  services,
  ping,
]);

/** Largest frame that either side reads, bytes. */
export const FRAME_BYTES_MAX = 64 * 2 ** 20;

export type Parsed<T> =
  | { readonly kind: "message"; readonly message: T; readonly number: number | null }
  | { readonly kind: "skip"; readonly number: number | null }
  | { readonly kind: "bad"; readonly problem: string };

export const parseSailorMessage = (frame: string | Uint8Array) =>
  parse<SailorMessage>(frame, sailorMessage as z.ZodType<SailorMessage>, [
    "hello",
    "proof",
    "reports",
    "heartbeat",
    "leaving",
    "refuse",
  ]);
export const parseDeckMessage = (frame: string | Uint8Array) =>
  parse<DeckMessage>(frame, deckMessage as z.ZodType<DeckMessage>, [
    "welcome",
    "refuse",
    "challenge",
    "assign",
    "acknowledge",
    "services",
    "ping",
  ]);

function parse<T>(frame: string | Uint8Array, schema: z.ZodType<T>, kinds: readonly string[]): Parsed<T> {
  if (typeof frame !== "string") return { kind: "bad", problem: "a session takes text frames" };
  let document: unknown;
  try {
    document = JSON.parse(frame);
  } catch (error) {
    return { kind: "bad", problem: (error as Error).message };
  }
  const { kind, n } = (document ?? {}) as { kind?: unknown; n?: unknown };
  const number = Number.isSafeInteger(n) ? n as number : null;
  if (typeof kind !== "string") return { kind: "bad", problem: "a message without `kind`" };
  if (!kinds.includes(kind)) return { kind: "skip", number };
  const result = schema.safeParse(document);
  if (result.success) return { kind: "message", message: result.data, number };
  const issue = result.error.issues[0];
  return { kind: "bad", problem: `${kind}: ${issue.path.join(".").slice(0, 255)}: ${issue.message}` };
}
