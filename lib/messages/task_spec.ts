/**
 * The shape of a `TaskSpec` on the wire. A deck has checked what the words mean; a sailor checks that it can work with them
 * at all, before anything of it reaches the journal: what lies there is read again at every start.
 *
 * Keys that are not known are kept, so that the deck may be the newer one.
 */
import { z } from "zod";
import { SPEC_BYTES_MAX } from "../core/documents/task.ts";
import type { TaskSpec } from "../core/documents/task.ts";

const DURATION_MS_MAX = 2 ** 40;
const string = z.string().max(SPEC_BYTES_MAX);
const words = z.array(string).max(1024).nullable();
const durationMs = z.number().min(0).max(DURATION_MS_MAX);
const port = z.number().int().min(1).max(65_535);
const amount = z.number().min(0).max(Number.MAX_SAFE_INTEGER);

const probe = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("http"), path: string, port: port.nullable() }),
  z.object({ kind: z.literal("tcp"), port }),
  z.object({ kind: z.literal("exec"), command: z.array(string).max(1024) }),
]);

const stepTask = z.looseObject({
  script: z.looseObject({ text: string, shell: z.array(string).min(1).max(64) }).nullable(),
  capture: z.boolean(),
});

const httpRequest = z.looseObject({
  url: string.min(1),
  method: z.string().regex(/^[A-Za-z]{1,32}$/, "not a method"),
  headers: z.record(z.string(), string),
  body: string.nullable(),
  timeoutMs: durationMs.nullable(),
});

export const taskSpec: z.ZodType<TaskSpec> = z.looseObject({
  name: string.min(1),
  image: string,
  entrypoint: words,
  cmd: words,
  env: z.record(z.string(), string),
  cpuCores: amount.nullable(),
  memoryBytes: amount.nullable(),
  diskBytes: amount,
  ports: z.array(z.looseObject({
    container: port,
    host: port.nullable(),
    hostIp: string.nullable(),
    protocol: z.enum(["tcp", "udp"]),
  })).max(1024),
  volumes: z.array(z.looseObject({ source: string, target: string, readOnly: z.boolean() })).max(1024),
  restart: z.discriminatedUnion("kind", [
    z.object({ kind: z.literal("no") }),
    z.object({ kind: z.literal("onFailure"), attemptsMax: z.number().int().min(0).nullable() }),
    z.object({ kind: z.literal("always") }),
    z.object({ kind: z.literal("unlessStopped") }),
  ]),
  health: z.looseObject({
    probe,
    intervalMs: durationMs.min(1),
    timeoutMs: durationMs.min(1),
    retries: z.number().int().min(1),
    startPeriodMs: durationMs,
  }).nullable(),
  labels: z.record(z.string(), string),
  constraints: z.array(z.looseObject({ attribute: string, operator: z.enum(["==", "!="]), value: string })).max(1024),
  stopSignal: string.nullable(),
  graceMs: durationMs,
  user: string.nullable(),
  workdir: string.nullable(),
  network: string,
  pull: z.enum(["missing", "always", "never"]),
  runtime: z.enum(["docker", "process", "http"]),
  maxRestarts: z.number().int().min(0),
  reschedule: z.union([z.boolean(), z.literal("lost")]),
  secrets: z.array(z.looseObject({ name: string.min(1), file: string.nullable() })).max(1024).optional(),
  files: z.array(z.looseObject({ path: string, content: string, mode: z.number().int().min(0).max(0o7777) })).max(1024),
  step: stepTask.optional(),
  http: httpRequest.optional(),
  bind: z.array(z.looseObject({ variable: string.min(1), service: string.min(1) })).max(256).optional(),
  minHealthyMs: durationMs.optional(),
});
