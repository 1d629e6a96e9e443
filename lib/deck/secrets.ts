/**
 * Secret values, opened in memory: put into assignments on their way out, hidden in everything that comes back. Values of
 * this deck's life that were replaced stay hidden too, because what was started with them runs on.
 */
import type { Logger } from "../contracts/logger.ts";
import type { SecretBox } from "../contracts/secret_box.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { Masker, MaskStream } from "../core/mask.ts";
import { createMasker } from "../core/mask.ts";
import type { Assignment, AttemptReport, StepResult } from "../core/outgoing.ts";
import type { State } from "../core/state.ts";
import type { OutputPiece } from "./api.ts";

export interface Secrets {
  /** Seals a value and remembers it, so that it is there as soon as the record is. Throws when there is no box. */
  seal(name: string, value: string): Promise<string>;
  /** The assignment with its values; those that cannot be had are left out, which the sailor tells. */
  fill(assignment: Assignment): Assignment;
  hideInReports(reports: readonly AttemptReport[]): readonly AttemptReport[];
  hideInOutput(sailId: string, output: AsyncIterable<OutputPiece>): AsyncIterable<OutputPiece>;
}

export async function openSecrets({ box, working, logger }: {
  readonly box: SecretBox | undefined;
  readonly working: State;
  readonly logger: Logger;
}): Promise<Secrets> {
  const bySealed = new Map<string, string>();
  const everOf = new Map<string, Set<string>>();
  const maskers = new WeakMap<TaskSpec, { readonly count: number; readonly masker: Masker | undefined }>();

  function remember(name: string, sealed: string, value: string): void {
    bySealed.set(sealed, value);
    everOf.set(name, (everOf.get(name) ?? new Set()).add(value));
  }

  for (const { name, sealed } of working.secrets.values()) {
    try {
      if (!box) throw new Error(`the secret ${name} cannot be opened: this deck has no key`);
      remember(name, sealed, await box.open(name, sealed));
    } catch (error) {
      // The others are of use all the same; tasks that need this one say so when they are to start.
      logger.error("a secret cannot be opened", { secret: name, reason: (error as Error).message });
    }
  }

  function specOf(sailId: string): TaskSpec | undefined {
    const sail = working.sails.get(sailId);
    return sail && working.specs.get(sail.specId)?.spec;
  }

  function maskerOf(sailId: string): Masker | undefined {
    const spec = specOf(sailId);
    if (!spec?.secrets) return undefined;
    const values = spec.secrets.flatMap(({ name }) => [...everOf.get(name) ?? []]);
    const known = maskers.get(spec);
    if (known?.count === values.length) return known.masker;
    const masker = createMasker(values);
    maskers.set(spec, { count: values.length, masker });
    return masker;
  }

  return {
    async seal(name, value) {
      if (!box) throw new Error("this deck keeps no secrets: it was started without a place for their key");
      const sealed = await box.seal(name, value);
      remember(name, sealed, value);
      return sealed;
    },
    fill(assignment) {
      const { secrets } = assignment.spec;
      if (!secrets || assignment.desired === "stop") return assignment;
      const values = secrets.flatMap(({ name }) => {
        const value = bySealed.get(working.secrets.get(name)?.sealed ?? "");
        return value === undefined ? [] : [[name, value] as const];
      });
      return { ...assignment, secrets: Object.fromEntries(values) };
    },
    hideInReports(reports) {
      return reports.map((report) => {
        const masker = maskerOf(report.sailId);
        return masker ? hidden(report, masker) : report;
      });
    },
    hideInOutput(sailId, output) {
      const masker = maskerOf(sailId);
      return masker ? hiddenOutput(output, masker) : output;
    },
  };
}

function hidden(report: AttemptReport, masker: Masker): AttemptReport {
  const hide = (text: string | null) => text === null ? null : masker.text(text);
  const { observed, result } = report;
  return {
    ...report,
    observed: {
      ...observed,
      message: hide(observed.message),
      healthOutput: hide(observed.healthOutput),
      outputTail: hide(observed.outputTail),
    },
    ...(result ? { result: hiddenResult(result, masker) } : {}),
  };
}

function hiddenResult(result: StepResult, masker: Masker): StepResult {
  const { answer } = result;
  const headers = Object.entries(answer?.headers ?? {}).map(([name, value]) => [name, masker.text(value)]);
  return {
    ...result,
    stdout: masker.text(result.stdout),
    stderr: masker.text(result.stderr),
    output: result.output === null ? null : masker.text(result.output),
    problem: result.problem === null ? null : masker.text(result.problem),
    answer: answer && { ...answer, headers: Object.fromEntries(headers) },
  };
}

async function* hiddenOutput(output: AsyncIterable<OutputPiece>, masker: Masker): AsyncGenerator<OutputPiece> {
  const streams = new Map<OutputPiece["stream"], MaskStream>();
  for await (const { stream, data } of output) {
    let mask = streams.get(stream);
    if (!mask) streams.set(stream, mask = masker.stream());
    const told = mask.push(data);
    if (told.length > 0) yield { stream, data: told };
  }
  for (const [stream, mask] of streams) {
    const rest = mask.end();
    if (rest.length > 0) yield { stream, data: rest };
  }
}
