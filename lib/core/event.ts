/** What happened, for people and watchers: kept in the store, numbered in the order of commits. */

export type EventKind =
  | "taskAccepted"
  | "taskPlaced"
  | "taskNotPlaced"
  | "taskRunning"
  | "taskRestarted"
  | "taskHealthy"
  | "taskUnhealthy"
  | "taskUnknown"
  | "taskReplaced"
  | "taskRetrying"
  | "taskStopping"
  | "taskCompleted"
  | "taskFailed"
  | "taskStopped"
  | "nodeJoined"
  | "nodeReady"
  | "nodeDown"
  | "nodeDraining"
  | "nodeDrained"
  | "nodeResumed"
  | "nodeRemoved"
  | "workflowApplied"
  | "workflowRemoved"
  | "workflowPaused"
  | "workflowUnpaused"
  | "slotPassed"
  | "runAccepted"
  | "runStarted"
  | "runWaiting"
  | "runCancelling"
  | "runFinalizing"
  | "runSucceeded"
  | "runWarning"
  | "runFailed"
  | "runCancelled"
  | "runTimedOut"
  | "stepQueued"
  | "stepRunning"
  | "stepHealthy"
  | "stepWaiting"
  | "stepRetrying"
  | "stepApproved"
  | "stepRejected"
  | "stepSucceeded"
  | "stepFailed"
  | "stepTimedOut"
  | "stepCancelled"
  | "stepSkipped"
  | "stepUpstreamFailed"
  | "serviceApplied"
  | "serviceScaled"
  | "serviceRemoved"
  | "replicaHealthy"
  | "replicaRetiring"
  | "rolloutStarted"
  | "rolloutStage"
  | "rolloutWaiting"
  | "rolloutPaused"
  | "rolloutResumed"
  | "rolloutPromoted"
  | "rolloutSucceeded"
  | "rolloutFailed"
  | "rolloutAborted"
  | "rolloutSuperseded"
  | "secretSet"
  | "secretRemoved"
  | "tokenCreated"
  | "tokenRevoked"
  | "deckStarted"
  | "deckRestored";

export interface EventRecord {
  /** Grows by one with each event; the id of the server-sent stream. */
  readonly sequence: number;
  readonly atMs: number;
  readonly kind: EventKind;
  readonly sailId: string | null;
  readonly sailName: string | null;
  readonly attemptId: string | null;
  readonly nodeId: string | null;
  readonly nodeName: string | null;
  /** Of runs and their steps' tasks; absent otherwise. */
  readonly runId?: string;
  /** The step's name, with `.INSTANCE` after it where it was fanned out. */
  readonly step?: string;
  /** Of services, their rollouts and replicas; absent otherwise. */
  readonly service?: string;
  /** One sentence. */
  readonly message: string;
}
