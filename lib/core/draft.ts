/**
 * What one input changes: records are written through it to the working state at once, so that whatever is decided
 * next sees them, and listed, so that they can be committed, published or taken back together.
 */
import type { EventKind, EventRecord } from "./event.ts";
import type { Assignment, DeckMessage, StepResult } from "./outgoing.ts";
import type { RecordChange, RecordKind, Records, State } from "./state.ts";
import type { Input } from "./input.ts";
import { stepLabel } from "./workflow/records.ts";

export interface Context {
  readonly wallMs: number;
  readonly monoMs: number;
  /** In [0, 1), new for each input. */
  readonly chance: number;
}

/** What leaves the deck once the changes are durable. A node without a session gets nothing: its next hello is answered in full. */
export type Send =
  | { readonly kind: "assign"; readonly nodeId: string; readonly assignment: Assignment }
  | { readonly kind: "drop"; readonly nodeId: string; readonly attemptId: string }
  | { readonly kind: "message"; readonly sessionId: string; readonly message: DeckMessage }
  | { readonly kind: "close"; readonly sessionId: string; readonly reason: string };

export interface DraftAlarm {
  readonly topic: string;
  readonly delayMs: number;
}

export class Draft {
  readonly changes: RecordChange[] = [];
  readonly #before: RecordChange[] = [];
  readonly sends: Send[] = [];
  readonly alarms: DraftAlarm[] = [];
  /** Inputs to be decided right after this one: the rest of what is too large for one write. */
  readonly follow: Input[] = [];
  reply: unknown = undefined;
  /** By task: what the attempts of steps left behind that have ended in this decision. */
  readonly results = new Map<string, StepResult>();

  constructor(readonly state: State, readonly context: Context) {}

  put<K extends RecordKind>(kind: K, id: string, value: Records[K]): void {
    this.#change({ kind, id, value } as RecordChange);
  }

  delete(kind: RecordKind, id: string): void {
    this.#change({ kind, id, value: undefined } as RecordChange);
  }

  event(
    kind: EventKind,
    message: string,
    about: {
      readonly sailId?: string;
      readonly attemptId?: string;
      readonly nodeId?: string;
      readonly runId?: string;
      readonly step?: string;
      readonly service?: string;
    } = {},
  ): void {
    const sequence = this.state.newestEvent + 1;
    const task = about.sailId ? this.state.sails.get(about.sailId) : undefined;
    const ofTask = task?.stepId === undefined ? undefined : this.state.steps.get(task.stepId);
    const runId = about.runId ?? ofTask?.runId;
    const step = about.step ?? (ofTask && stepLabel(ofTask));
    const service = about.service ?? task?.replica?.service;
    const record: EventRecord = {
      sequence,
      atMs: this.context.wallMs,
      kind,
      sailId: about.sailId ?? null,
      sailName: task?.name ?? null,
      attemptId: about.attemptId ?? null,
      nodeId: about.nodeId ?? null,
      nodeName: about.nodeId ? this.state.masts.get(about.nodeId)?.name ?? null : null,
      message,
      ...(runId === undefined ? {} : { runId }),
      ...(step === undefined ? {} : { step }),
      ...(service === undefined ? {} : { service }),
    };
    this.put("event", String(sequence), record);
  }

  /** Takes the changes back. Later drafts of the same state must have been taken back before. */
  undo(): void {
    for (const change of this.#before.reverse()) this.state.apply(change);
  }

  #change(change: RecordChange): void {
    this.#before.push({ ...change, value: this.state.get(change.kind, change.id) } as RecordChange);
    this.state.apply(change);
    this.changes.push(change);
  }
}
