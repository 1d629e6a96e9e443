/**
 * Workflows written in TypeScript: `workflow("deploy", (w) => { ... })` makes the same document that YAML makes, plain
 * data for JSON. Owns the way from handles and expressions to texts. What a document means is judged by who takes it
 * (`ormen workflow validate`, or the deck), so a script needs nothing of the engine.
 */
import { Expression, reference, sourceOf, type Text } from "./workflow_expression.ts";
import type {
  ApprovalStep,
  ClosingStep,
  EnvKeys,
  HttpStep,
  Matrix,
  MatrixKeys,
  MatrixNames,
  OutputTexts,
  ParamKeys,
  ParamsKeys,
  RolloutStep,
  RunStep,
  SleepStep,
  Step,
  TaskStep,
  Workflow,
  WorkflowKeys,
  WorkflowStep,
} from "./workflow_keys.ts";

const ROLLOUT_OUTPUTS = ["revision", "addresses", "address"] as const;

/** What `define` returns are the workflow's own outputs. */
export function workflow<Outputs extends OutputTexts = Record<never, never>>(
  name: string,
  define: (w: WorkflowBuilder) => Outputs | void,
): Workflow<keyof Outputs & string>;
/** With the keys that stand above the steps: params, env, schedule, concurrency, defaults... */
export function workflow<
  const Params extends ParamsKeys = Record<never, never>,
  const Env extends EnvKeys = Record<never, never>,
  Outputs extends OutputTexts = Record<never, never>,
>(
  name: string,
  keys: WorkflowKeys<Params, Env>,
  define: (w: WorkflowBuilder<keyof Params & string, keyof Env & string>) => Outputs | void,
): Workflow<keyof Outputs & string>;
export function workflow(
  name: string,
  keysOrDefine: WorkflowKeys | ((w: WorkflowBuilder) => OutputTexts | void),
  define?: (w: WorkflowBuilder) => OutputTexts | void,
): Workflow {
  const keys = typeof keysOrDefine === "function" ? {} : keysOrDefine;
  const builder = new WorkflowBuilder(keys);
  const outputs = (typeof keysOrDefine === "function" ? keysOrDefine : define!)(builder) ?? undefined;
  return plain({ name, ...keys, ...builder.document(), outputs }) as Workflow;
}

/** Collects the steps of one workflow, in the order in which they are added. */
export class WorkflowBuilder<Params extends string = never, Env extends string = never> {
  readonly #params: Record<string, ParamKeys>;
  readonly #steps = new Map<string, unknown>();
  readonly #onFailure: unknown[] = [];
  readonly #finally: unknown[] = [];

  /** The parameters and variables that were declared beside the steps. */
  readonly params: { readonly [Name in Params]: Expression };
  readonly env: { readonly [Name in Env]: Expression };
  readonly runId: Expression = reference("run", "id");
  /** The number of the step's attempt, from 1. */
  readonly attempt: Expression = reference("attempt");
  /** In a step with `forEach`: its item. */
  readonly item: Expression = reference("item");

  constructor({ params = {}, env = {} }: WorkflowKeys) {
    this.#params = { ...params };
    this.params = references(["params"], Object.keys(params));
    this.env = references(["env"], Object.keys(env));
  }

  /** Declares a parameter; returns what stands for its value. */
  param(name: string, keys: ParamKeys): Expression {
    if (Object.hasOwn(this.#params, name)) throw new Error(`cannot add the parameter "${name}": there is one already`);
    this.#params[name] = keys;
    return reference("params", name);
  }

  /** The `matrix` of a step, and its values in that step's texts. */
  matrix<const Keys extends MatrixKeys>(keys: Keys): Matrix<MatrixNames<Keys>> {
    const { include = [], exclude: _, ...axes } = keys;
    const names = [...Object.keys(axes), ...include.flatMap((entry) => Object.keys(entry))];
    const values = references<MatrixNames<Keys>>(["matrix"], names);
    return Object.defineProperty(values, "toJSON", { value: () => keys });
  }

  /** A container, or a script in one (`run`). */
  task<const Outputs extends OutputTexts = Record<never, never>>(id: string, keys: TaskStep<Outputs>) {
    return this.#add<keyof Outputs & string>(id, keys);
  }

  /** A script on the sailor's host, where its operator allowed that. */
  run<const Outputs extends OutputTexts = Record<never, never>>(id: string, keys: RunStep<Outputs>) {
    return this.#add<keyof Outputs & string>(id, keys);
  }

  /** A request that a sailor makes. */
  http<const Outputs extends OutputTexts = Record<never, never>>(id: string, keys: HttpStep<Outputs>) {
    return this.#add<keyof Outputs & string>(id, keys);
  }

  /** A person's decision; what it asks for are outputs. */
  approval<
    const Inputs extends ParamsKeys = Record<never, never>,
    const Outputs extends OutputTexts = Record<never, never>,
  >(id: string, keys: ApprovalStep<Inputs, Outputs>) {
    return this.#add<(keyof Inputs | keyof Outputs) & string>(id, keys, Object.keys(keys.approval.inputs ?? {}));
  }

  /** Waits for a duration such as `5s`. */
  sleep<const Outputs extends OutputTexts = Record<never, never>>(id: string, keys: SleepStep<Outputs>) {
    return this.#add<keyof Outputs & string>(id, keys);
  }

  /** A run of another workflow, whose outputs are the step's. */
  workflow<Child extends string = never, const Outputs extends OutputTexts = Record<never, never>>(
    id: string,
    keys: WorkflowStep<Child, Outputs>,
  ) {
    const { workflow } = keys;
    const outputs = typeof workflow === "string" ? [] : Object.keys(workflow.outputs ?? {});
    return this.#add<Child | keyof Outputs & string>(id, keys, outputs);
  }

  /** A rollout of a service. Its outputs are `revision`, `addresses` and, of these the first, `address`. */
  rollout<const Outputs extends OutputTexts = Record<never, never>>(id: string, keys: RolloutStep<Outputs>) {
    return this.#add<typeof ROLLOUT_OUTPUTS[number] | keyof Outputs & string>(id, keys, ROLLOUT_OUTPUTS);
  }

  /** Adds a step that runs when one has failed, after those that were added before it. */
  onFailure(keys: ClosingStep): void {
    this.#onFailure.push(written(keys));
  }

  /** Adds a step that runs at any end. */
  finally(keys: ClosingStep): void {
    this.#finally.push(written(keys));
  }

  /** What was added, as keys of a document. */
  document(): Record<string, unknown> {
    const present = <T>(value: T, size: number) => size > 0 ? value : undefined;
    return {
      params: present(this.#params, Object.keys(this.#params).length),
      steps: Object.fromEntries(this.#steps),
      onFailure: present(this.#onFailure, this.#onFailure.length),
      finally: present(this.#finally, this.#finally.length),
    };
  }

  #add<Outputs extends string>(
    id: string,
    keys: WithExpressions & { readonly outputs?: OutputTexts },
    moreOutputs: readonly string[] = [],
  ): Step<Outputs> {
    if (this.#steps.has(id)) throw new Error(`cannot add the step "${id}": there is one of that name already`);
    this.#steps.set(id, written(keys));
    return stepHandle(id, [...Object.keys(keys.outputs ?? {}), ...moreOutputs]);
  }
}

function stepHandle<Outputs extends string>(id: string, outputs: readonly string[]): Step<Outputs> {
  const handle: Step<Outputs> & { toJSON(): string } = {
    id,
    outputs: references(["steps", id, "outputs"], outputs),
    output: (name) => reference("steps", id, "outputs", name),
    state: reference("steps", id, "state"),
    outcome: reference("steps", id, "outcome"),
    toJSON: () => id,
  };
  return handle;
}

function references<Name extends string>(
  [root, ...path]: readonly string[],
  names: readonly string[],
): { readonly [Each in Name]: Expression } {
  const entries = names.map((name) => [name, reference(root, ...path, name)]);
  return Object.fromEntries(entries) as { [Each in Name]: Expression };
}

interface WithExpressions {
  readonly when?: Text;
  readonly retry?: { readonly when?: Text };
  readonly http?: { readonly expect?: Text };
  readonly workflow?: string | { readonly name: string };
}

/** Keys whose whole text is an expression take it bare; a document stands for itself by its name. */
function written(keys: WithExpressions): unknown {
  const bare = <Key extends string>(key: Key, holder: { readonly [Each in Key]?: Text } | undefined) =>
    holder?.[key] === undefined ? holder : { ...holder, [key]: sourceOf(holder[key]) };
  return {
    ...bare("when", keys),
    ...(keys.retry ? { retry: bare("when", keys.retry) } : {}),
    ...(keys.http ? { http: bare("expect", keys.http) } : {}),
    ...(typeof keys.workflow === "object" ? { workflow: keys.workflow.name } : {}),
  };
}

/** As JSON has it: handles and expressions say how they are written, keys without a value are gone. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}
