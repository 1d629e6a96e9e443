/** Everything that may happen to a deck. One kind, one module beside decide.ts. */
import type { OriginalFields } from "./sail.ts";
import type { Role } from "./token.ts";
import type { TaskSpec } from "./documents/task.ts";
import type { ServiceSpec } from "./documents/service.ts";
import type { Scalar } from "./documents/workflow.ts";
import type { AttemptReport, Hello } from "./outgoing.ts";
import type { NewRun } from "./workflow/make_run.ts";

export type Input =
  | {
    readonly kind: "submit";
    readonly sailId: string;
    readonly spec: TaskSpec;
    readonly original: OriginalFields | null;
    readonly originalEventId: string | null;
  }
  | {
    readonly kind: "openBatch";
    readonly key: string;
    readonly digest: string;
    readonly names: readonly string[];
    readonly ids: readonly string[];
  }
  | { readonly kind: "stop"; readonly sailId: string; readonly graceMs: number | null }
  | { readonly kind: "setEligibility"; readonly nodeId: string; readonly to: "eligible" | "draining" }
  | { readonly kind: "removeNode"; readonly nodeId: string }
  | {
    readonly kind: "createToken";
    readonly id: string;
    readonly name: string;
    readonly role: Role;
    /** Never the token itself: inputs are kept and told. */
    readonly digest: string;
    readonly expiresMs: number | null;
  }
  | { readonly kind: "revokeToken"; readonly id: string }
  /** `sealed`: never the value itself, inputs are kept and told. */
  | { readonly kind: "setSecret"; readonly name: string; readonly sealed: string }
  | { readonly kind: "removeSecret"; readonly name: string; readonly force: boolean }
  | {
    readonly kind: "putDefinition";
    readonly hash: string;
    readonly piece: number;
    readonly pieces: number;
    readonly text: string;
  }
  | { readonly kind: "applyWorkflow"; readonly name: string; readonly hash: string }
  | { readonly kind: "removeWorkflow"; readonly name: string }
  | { readonly kind: "pauseWorkflow"; readonly name: string; readonly paused: boolean }
  /** A slot of a schedule has come; `fire` false: it was missed and is only passed over. */
  | { readonly kind: "slot"; readonly workflow: string; readonly slotMs: number; readonly fire: boolean }
  | ({ readonly kind: "startRun" } & NewRun)
  | { readonly kind: "cancelRun"; readonly runId: string; readonly why: string; readonly now?: boolean }
  | {
    readonly kind: "approval";
    readonly runId: string;
    readonly step: string;
    readonly instance: number | null;
    readonly approved: boolean;
    readonly inputs: Readonly<Record<string, Scalar>>;
    readonly reason: string | null;
  }
  /** Start what is ready among these; null: look at all of them. */
  | { readonly kind: "advance"; readonly runId: string; readonly steps: readonly string[] | null }
  | { readonly kind: "prepareRun"; readonly runId: string; readonly from: number }
  /** `cancelFrom`: end the instances from this one on; null: start and finish what there is. */
  | { readonly kind: "fanOut"; readonly stepId: string; readonly cancelFrom: number | null }
  | { readonly kind: "cancelSteps"; readonly runId: string; readonly from: number }
  | { readonly kind: "endService"; readonly stepId: string }
  | { readonly kind: "childEnded"; readonly runId: string }
  /** It was under way when the deck ended, and its onCrash does not say adopt. */
  | { readonly kind: "crashed"; readonly stepId: string }
  | { readonly kind: "deadline"; readonly of: "run" | "step"; readonly id: string }
  /** After a start: whatever of a run was under way; `crashed`: the deck itself had ended meanwhile. */
  | { readonly kind: "lookAtRun"; readonly runId: string; readonly crashed: boolean }
  | { readonly kind: "applyService"; readonly spec: ServiceSpec }
  | { readonly kind: "scaleService"; readonly name: string; readonly replicas: number }
  /** `to` null: the newest stable revision before the current one. */
  | { readonly kind: "rollbackService"; readonly name: string; readonly to: number | null }
  | { readonly kind: "restartService"; readonly name: string }
  | { readonly kind: "removeService"; readonly name: string }
  | {
    readonly kind: "changeRollout";
    readonly service: string;
    readonly verb: "pause" | "resume" | "promote" | "abort";
  }
  /** Carry on with whatever is to be done for it. */
  | { readonly kind: "lookAtService"; readonly name: string }
  /** A step of a workflow waits for it. */
  | { readonly kind: "rolloutEnded"; readonly stepId: string; readonly rolloutId: string }
  | {
    readonly kind: "hello";
    readonly sessionId: string;
    readonly hello: Hello;
    readonly staticAddress: string | null;
    readonly remoteIp: string;
  }
  | {
    readonly kind: "reports";
    readonly sessionId: string;
    readonly nodeId: string;
    readonly reports: readonly AttemptReport[];
    /** Null: not part of a hello. */
    readonly hello: null | "more" | "last";
  }
  | {
    readonly kind: "helloDone";
    readonly sessionId: string;
    readonly nodeId: string;
    readonly inventory: ReadonlySet<string>;
  }
  | { readonly kind: "sessionClosed"; readonly sessionId: string; readonly nodeId: string }
  | { readonly kind: "tick" }
  | { readonly kind: "nodeLost"; readonly nodeId: string }
  | { readonly kind: "alarm"; readonly topic: string }
  /** Look at everything that wants a place. */
  | { readonly kind: "place" }
  | { readonly kind: "sweep" }
  /** First input of a deck's life. */
  | { readonly kind: "start" }
  /** The store answers again (and at the start): recompute what is due. */
  | { readonly kind: "catchUp" };

/** Settings that decisions depend on. */
export interface Settings {
  readonly clusterId: string;
  readonly term: number;
  readonly version: string;
  readonly scheduler: "roundrobin" | "greedy" | "epvm" | "binpack" | "spread";
  readonly heartbeatMs: number;
  readonly nodeTimeoutMs: number;
  readonly keepEndedMs: number;
  readonly keepEndedMax: number;
  readonly keepEventsMax: number;
}
