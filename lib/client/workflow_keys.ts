/**
 * The keys of a workflow document as a TypeScript program writes them: those of the YAML, with step handles where the
 * YAML names steps, and expressions where it has texts. Types only.
 */
import type { ServiceDocument } from "../core/documents/service.ts";
import type { TaskDocument } from "../core/documents/task.ts";
import type { MatrixSpec, NeedCondition, Scalar, WorkflowDocument } from "../core/documents/workflow.ts";
import type { Expression, Text } from "./workflow_expression.ts";

type StepDocument = WorkflowDocument["steps"][string];

/** What a workflow makes, with its outputs known by name; else a plain document, ready for JSON. */
export type Workflow<Outputs extends string = never> = Omit<WorkflowDocument, "outputs"> & {
  readonly outputs?: { readonly [Name in Outputs]: string };
};

/** A step that was added: a need of others, and the place where its outputs are found. */
export interface Step<Outputs extends string = never> {
  readonly id: string;
  /** Those that the step declares. */
  readonly outputs: { readonly [Name in Outputs]: Expression };
  /** An output that it declares nowhere: a line `name=value` that its script appends to $ORMEN_OUTPUT. */
  output(name: string): Expression;
  readonly state: Expression;
  readonly outcome: Expression;
}

/** A fan-out, and its values in the step that has it: ``const on = w.matrix({ os: [...] })`, then `on.os`. */
export type Matrix<Names extends string = string> = { readonly [Name in Names]: Expression };

export type MatrixKeys = {
  readonly [axis: string]: readonly Scalar[] | readonly Readonly<Record<string, Scalar>>[] | undefined;
  readonly include?: MatrixSpec["include"];
  readonly exclude?: MatrixSpec["exclude"];
};

/** Axes, and what `include` adds to them. */
export type MatrixNames<Keys extends MatrixKeys> =
  | Exclude<keyof Keys & string, "include" | "exclude">
  | (Keys["include"] extends readonly (infer Entry)[] ? KeysOfEach<Entry> : never);
type KeysOfEach<Entry> = Entry extends unknown ? keyof Entry & string : never;

interface AnyParam<Type, Value extends Scalar> {
  readonly type: Type;
  readonly required?: boolean;
  readonly default?: Value;
  readonly enum?: readonly Value[];
  readonly pattern?: string;
  readonly description?: string;
}
/** A default or a choice of another type than the parameter's does not compile. */
export type ParamKeys =
  | AnyParam<"string", string>
  | AnyParam<"number", number>
  | AnyParam<"boolean", boolean>
  | (Omit<AnyParam<"string", string>, "type"> & { readonly type?: undefined });
export type ParamsKeys = Readonly<Record<string, ParamKeys>>;
export type EnvKeys = Readonly<Record<string, Text | number | boolean>>;
export type OutputTexts = Readonly<Record<string, Text>>;

/** All of a workflow but its name, its steps and what follows them. */
export interface WorkflowKeys<Params extends ParamsKeys = ParamsKeys, Env extends EnvKeys = EnvKeys>
  extends Omit<WorkflowDocument, "name" | "params" | "env" | "steps" | "onFailure" | "finally" | "outputs"> {
  readonly params?: Params;
  readonly env?: Env;
}

type StepKeys<Outputs extends OutputTexts> =
  & Omit<StepDocument, ActionKey | "needs" | "when" | "env" | "matrix" | "forEach" | "retry" | "outputs">
  & {
    readonly needs?: readonly (Step | { readonly step: Step; readonly condition: NeedCondition })[];
    readonly when?: Text;
    readonly env?: EnvKeys;
    readonly matrix?: Matrix | MatrixKeys;
    readonly forEach?: Text;
    readonly retry?: Omit<NonNullable<StepDocument["retry"]>, "when"> & { readonly when?: Text };
    readonly outputs?: Outputs;
  };
type ActionKey =
  | "task"
  | "run"
  | "shell"
  | "files"
  | "http"
  | "approval"
  | "sleep"
  | "workflow"
  | "with"
  | "rollout";

/** A task document in which any value may be an expression. It needs no name: the step's is used. */
export type TaskKeys = { readonly [Key in keyof TaskDocument]?: Templated<TaskDocument[Key]> };
type Templated<T> = T extends string | number | boolean | undefined ? T | Expression
  : T extends readonly (infer Item)[] ? readonly Templated<Item>[]
  : { readonly [Key in keyof T]: Templated<T[Key]> };

interface ScriptKeys {
  readonly shell?: StepDocument["shell"];
  readonly files?: StepDocument["files"];
}

export type TaskStep<Outputs extends OutputTexts> = StepKeys<Outputs> & ScriptKeys & {
  readonly task: TaskKeys;
  /** A script for the container; its data comes through `env`. */
  readonly run?: string;
};

export type RunStep<Outputs extends OutputTexts> = StepKeys<Outputs> & ScriptKeys & { readonly run: string };

export type HttpStep<Outputs extends OutputTexts> = StepKeys<Outputs> & {
  readonly http: {
    readonly url: Text;
    readonly method?: NonNullable<StepDocument["http"]>["method"];
    readonly headers?: Readonly<Record<string, Text>>;
    readonly body?: Text;
    readonly expect?: Text;
  };
};

export type ApprovalStep<Inputs extends ParamsKeys, Outputs extends OutputTexts> = StepKeys<Outputs> & {
  readonly approval: { readonly prompt: Text; readonly inputs?: Inputs };
};

export type SleepStep<Outputs extends OutputTexts> = StepKeys<Outputs> & { readonly sleep: Text };

export type WorkflowStep<Child extends string, Outputs extends OutputTexts> = StepKeys<Outputs> & {
  /** A registered name, a file's name, or a document: then its name, under which a run includes it. */
  readonly workflow: string | Workflow<Child>;
  readonly with?: Readonly<Record<string, Text | number | boolean>>;
};

/** A service document in which any value may be an expression, with `service` in the place of its name. */
export type RolloutKeys =
  & { readonly service: Text; readonly task: Omit<TaskKeys, "name" | "reschedule"> }
  & { readonly [Key in Exclude<keyof ServiceDocument, "name" | "task">]?: Templated<ServiceDocument[Key]> };

export type RolloutStep<Outputs extends OutputTexts> = StepKeys<Outputs> & { readonly rollout: RolloutKeys };

/** A step of `onFailure` or `finally`: they run one after the other, so it needs nothing, and may do without a name. */
export type ClosingStep =
  & { readonly id?: string; readonly needs?: undefined }
  & (
    | TaskStep<OutputTexts>
    | RunStep<OutputTexts>
    | HttpStep<OutputTexts>
    | ApprovalStep<ParamsKeys, OutputTexts>
    | SleepStep<OutputTexts>
    | WorkflowStep<string, OutputTexts>
    | RolloutStep<OutputTexts>
  );
