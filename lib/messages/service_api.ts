/** Bodies of /v1/services and /v1/rollouts. camelCase, times as RFC 3339; see api.ts for the rest of /v1. */
import { z } from "zod";
import { REPLICAS_MAX } from "../core/documents/service.ts";
import { ROLLOUT_STATES } from "../core/service/records.ts";

const time = z.string().describe("RFC 3339");

export const addressView = z.object({
  address: z.string().describe("host:port of the task's first port"),
  taskId: z.string(),
  slot: z.number().int(),
  revision: z.number().int(),
  node: z.string(),
  ports: z.array(z.object({
    container: z.number().int(),
    protocol: z.enum(["tcp", "udp"]),
    address: z.string(),
  })),
});

/** Of `GET /v1/services/{name}/addresses`, and of each event of its stream: always the whole list. */
export const addressList = z.object({ service: z.string(), addresses: z.array(addressView) });

export const rolloutView = z.object({
  id: z.string().describe("SERVICE#NUMBER"),
  service: z.string(),
  number: z.number().int(),
  from: z.number().int().nullable().describe("the revision before; null: none"),
  to: z.number().int(),
  cause: z.enum(["apply", "rollback", "restart", "revert", "resume"]),
  reverts: z.number().int().nullable().describe("of a revert: the rollout that failed"),
  state: z.enum(ROLLOUT_STATES),
  stage: z.enum(["canaries", "analysis", "promotion", "replacing", "monitor"]),
  strategy: z.string(),
  why: z.string().nullable().describe("how it ended, or what it waits for"),
  failedTask: z.string().nullable().describe("the replica that made it fail; its logs and status tell more"),
  revertedBy: z.number().int().nullable().describe("the rollout that takes it back"),
  analysis: z.object({
    done: z.number().int(),
    failed: z.number().int(),
    count: z.number().int(),
    lastFailure: z.string().nullable(),
  }).nullable(),
  updated: z.number().int().describe("slots with a healthy replica of the revision `to`"),
  desired: z.number().int(),
  createdAt: time,
  endedAt: time.nullable(),
  deadlineAt: time.nullable().describe("when what it waits for must have come, if the deck stays"),
});

export const replicaView = z.object({
  taskId: z.string(),
  name: z.string().describe("such as web.1@4"),
  slot: z.number().int(),
  revision: z.number().int(),
  rollout: z.number().int().nullable().describe("the rollout that started it"),
  state: z.enum(["pending", "starting", "running", "healthy", "unhealthy", "unknown", "stopping"])
    .describe("running: up, and not yet healthy for minHealthyTime"),
  why: z.string().nullable(),
  node: z.string().nullable(),
  address: z.string().nullable().describe("host:port while it is on the address list"),
  restarts: z.number().int(),
  createdAt: time,
});

const counts = { desired: z.number().int(), running: z.number().int(), healthy: z.number().int() };

export const serviceView = z.object({
  name: z.string(),
  mode: z.enum(["replicated", "global"]),
  image: z.string(),
  revision: z.number().int(),
  state: z.enum(["healthy", "degraded", "rolling", "waiting", "paused", "removing"])
    .describe("paused: a rollout is paused, or has failed and nothing took its place"),
  replicas: z.object(counts),
  rollout: rolloutView.nullable().describe("the newest one, ended or not"),
  createdAt: time,
  updatedAt: time,
});

export const revisionView = z.object({
  revision: z.number().int(),
  stable: z.boolean().describe("a rollout to it has succeeded"),
  current: z.boolean(),
  cause: z.string(),
  image: z.string(),
  createdAt: time,
  running: z.number().int(),
  healthy: z.number().int(),
});

export const serviceDetailView = serviceView.extend({
  document: z.record(z.string(), z.unknown()).describe("as `apply` takes it"),
  notes: z.array(z.string()),
  why: z.string().nullable().describe("why it is paused"),
  revisions: z.array(revisionView).describe("those that have replicas, newest first"),
  slots: z.array(replicaView).describe("in the order of slots; a slot that is being replaced has two"),
});

export const serviceHistory = z.object({
  revisions: z.array(revisionView).describe("newest first"),
  rollouts: z.array(rolloutView).describe("newest first"),
});

export const serviceList = z.object({ services: z.array(serviceView) });
export const rolloutList = z.object({ rollouts: z.array(rolloutView) });

/** Of `POST /v1/services/plan`: what apply would do. */
export const servicePlan = z.object({
  service: z.string(),
  change: z.enum(["created", "updated", "scaled", "settings", "unchanged"]),
  from: z.number().int().nullable(),
  to: z.number().int().nullable().describe("the revision that would be made; null: none"),
  replicas: z.object({ from: z.number().int(), to: z.number().int() }),
  differences: z.array(z.object({ key: z.string(), from: z.unknown(), to: z.unknown() })),
  notes: z.array(z.string()),
});

/** `rollout` null: nothing is replaced. */
export const serviceApplied = z.object({
  change: z.enum(["created", "updated", "scaled", "settings", "unchanged"]),
  rollout: z.number().int().nullable(),
  service: serviceDetailView,
});

export const scaleRequest = z.strictObject({ replicas: z.number().int().min(0).max(REPLICAS_MAX) });
export const rollbackRequest = z.strictObject({
  to: z.number().int().positive().optional().describe(
    "a revision; the newest stable one before the current by default",
  ),
});

export type AddressView = z.infer<typeof addressView>;
export type AddressList = z.infer<typeof addressList>;
export type RolloutView = z.infer<typeof rolloutView>;
export type ReplicaView = z.infer<typeof replicaView>;
export type ServiceView = z.infer<typeof serviceView>;
export type RevisionView = z.infer<typeof revisionView>;
export type ServiceDetailView = z.infer<typeof serviceDetailView>;
export type ServiceHistory = z.infer<typeof serviceHistory>;
export type ServiceList = z.infer<typeof serviceList>;
export type RolloutList = z.infer<typeof rolloutList>;
export type ServicePlan = z.infer<typeof servicePlan>;
export type ServiceApplied = z.infer<typeof serviceApplied>;
export type ScaleRequest = z.infer<typeof scaleRequest>;
export type RollbackRequest = z.infer<typeof rollbackRequest>;
