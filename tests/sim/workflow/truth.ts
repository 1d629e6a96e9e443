/** Records of workflows and their runs as they are durable on the deck's disk. */
import type {
  DefinitionRecord,
  OutputRecord,
  RunRecord,
  StepRecord,
  WorkflowRecord,
} from "../../../lib/core/workflow/records.ts";
import type { Keys, Source } from "./documents.ts";

type OnChange<T> = (before: T | undefined, after: T | undefined) => void;

export class WorkflowTruth {
  readonly definitions = new Map<string, DefinitionRecord>();
  readonly workflows = new Map<string, WorkflowRecord>();
  readonly runs = new Map<string, RunRecord>();
  readonly steps = new Map<string, StepRecord>();
  readonly outputs = new Map<string, OutputRecord>();
  readonly stepsOfRun = new Map<string, Set<string>>();
  onRun: OnChange<RunRecord> = () => {};
  onStep: OnChange<StepRecord> = () => {};
  onDefinition: OnChange<DefinitionRecord> = () => {};
  readonly #sources = new Map<string, Source>();

  take(kind: string, id: string, value: unknown): void {
    switch (kind) {
      case "definition":
        return this.#put(this.definitions, id, value as DefinitionRecord | undefined, this.onDefinition);
      case "workflow":
        return this.#put(this.workflows, id, value as WorkflowRecord | undefined);
      case "run":
        return this.#put(this.runs, id, value as RunRecord | undefined, this.onRun);
      case "output":
        return this.#put(this.outputs, id, value as OutputRecord | undefined);
      case "step": {
        const [runId] = id.split("/");
        const ids = this.stepsOfRun.get(runId) ?? new Set();
        this.stepsOfRun.set(runId, ids);
        if (value === undefined) ids.delete(id);
        else ids.add(id);
        return this.#put(this.steps, id, value as StepRecord | undefined, this.onStep);
      }
    }
  }

  step(runId: string, id: string, instance: number | null = null): StepRecord | undefined {
    return this.steps.get(instance === null ? `${runId}/${id}` : `${runId}/${id}/${instance}`);
  }

  stepsOf(runId: string): StepRecord[] {
    return [...this.stepsOfRun.get(runId) ?? []].map((id) => this.steps.get(id)!);
  }

  /** The document of a run, as it was written; undefined while a piece of its definition is missing. */
  documentOf({ definition, document }: RunRecord): Keys | undefined {
    const source = this.source(definition);
    return document === null ? source?.workflow : source?.included[document];
  }

  source(hash: string): Source | undefined {
    const known = this.#sources.get(hash);
    if (known) return known;
    const { pieces = 1 } = this.definitions.get(hash) ?? {};
    let text = "";
    for (let piece = 0; piece < pieces; piece++) {
      const record = this.definitions.get(piece === 0 ? hash : `${hash}#${piece}`);
      if (!record) return undefined;
      text += record.text;
    }
    const source = JSON.parse(text) as Source;
    this.#sources.set(hash, source);
    return source;
  }

  #put<T>(map: Map<string, T>, id: string, value: T | undefined, told: OnChange<T> = () => {}): void {
    const before = map.get(id);
    if (value === undefined) map.delete(id);
    else map.set(id, value);
    told(before, value);
  }
}
