/** Everything that may happen to a deck. One kind, one module beside decide.ts. */
import type { OriginalFields } from "./sail.ts";
import type { Role } from "./token.ts";
import type { TaskSpec } from "./documents/task.ts";
import type { AttemptReport, Hello } from "./outgoing.ts";

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
