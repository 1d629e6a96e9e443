/**
 * The JSON Schema of workflow files, for editors: completion, hovering texts, and most of what is wrong while one types.
 * Made from the schemas that documents are parsed with; `ormen workflow validate` says the rest.
 */
import { z } from "zod";
import { serviceDocument } from "./service.ts";
import { taskDocument } from "./task.ts";
import { STEP_ID, workflowDocument } from "./workflow.ts";

type Json = { [key: string]: unknown };

/** Draft 7, which the language servers of YAML know best. */
export function workflowJsonSchema(): Json {
  const schema = schemaOf(workflowDocument);
  const task = schemaOf(taskDocument);
  delete task.$schema;
  delete task.required;
  const properties = schema.properties as Record<string, Json>;
  const step = properties.steps.additionalProperties as Json;
  const closingStep = (properties.finally.items as Json[] | Json) as Json;
  properties.steps = { ...properties.steps, additionalProperties: { $ref: "#/definitions/step" }, minProperties: 1 };
  properties.steps.propertyNames = { pattern: STEP_ID.source };
  for (const list of ["onFailure", "finally"]) {
    properties[list] = { ...properties[list], items: { $ref: "#/definitions/closingStep" } };
  }
  const definitions = {
    step: stepSchema(step),
    closingStep: stepSchema(closingStep),
    service: serviceSchema(),
    task: {
      ...fillable(withDurations(task)) as Json,
      description: "A task document, as `ormen run -f` takes it; no name is needed.",
    },
  };
  const whole = { $id: "ormen-workflow.schema.json", title: "Ormen workflow", ...schema, definitions };
  describe(whole, "workflow");
  describe(definitions.step, "step");
  describe(definitions.closingStep, "step");
  return withDurations(whole) as Json;
}

function schemaOf(schema: z.ZodType): Json {
  return z.toJSONSchema(schema, { io: "input", target: "draft-7", unrepresentable: "any" }) as Json;
}

const ACTIONS = ["task", "run", "http", "approval", "sleep", "workflow", "rollout"];
const SCALAR = { type: ["string", "number", "boolean"] };

function stepSchema(step: Json): Json {
  const properties = step.properties as Record<string, Json>;
  return {
    ...step,
    properties: {
      ...properties,
      task: { $ref: "#/definitions/task" },
      rollout: { $ref: "#/definitions/service" },
      matrix: { ...properties.matrix, additionalProperties: { type: "array", items: SCALAR, minItems: 1 } },
    },
    anyOf: ACTIONS.map((action) => ({ required: [action] })),
  };
}

/** A service document as a step writes it, with `service` in the place of `name`. */
function serviceSchema(): Json {
  const { $schema: _draft, required: _required, properties, ...rest } = schemaOf(serviceDocument);
  const { name, ...others } = properties as Json;
  const written = { ...rest, properties: { service: name, ...others, task: { $ref: "#/definitions/task" } } };
  const description =
    "A service document, as `ormen service apply -f` takes it, with `service` in the place of `name`.";
  return { ...fillable(withDurations(written)) as Json, required: ["service", "task"], description };
}

const TEMPLATE = { type: "string", pattern: "\\$\\{\\{" };

/** The same schema, with a text that holds `${{ }}` wherever a value of another form is asked for. */
function fillable(schema: unknown): unknown {
  if (typeof schema !== "object" || schema === null) return schema;
  const { properties, items, additionalProperties, anyOf, ...rest } = schema as Json;
  const inner = {
    ...rest,
    ...(properties !== undefined && {
      properties: Object.fromEntries(Object.entries(properties as Json).map(([key, each]) => [key, fillable(each)])),
    }),
    ...(items !== undefined && { items: fillable(items) }),
    ...(additionalProperties !== undefined && { additionalProperties: fillable(additionalProperties) }),
    ...(anyOf !== undefined && { anyOf }),
  };
  const isAnyText = rest.type === "string" && rest.pattern === undefined && rest.enum === undefined;
  const isWhole = rest.$schema !== undefined || (rest.type === "object" && properties !== undefined);
  return isAnyText || isWhole || rest.type === "object" ? inner : { anyOf: [inner, TEMPLATE] };
}

const DURATIONS = [
  ...["timeout", "delay", "maxDelay", "catchupWindow", "interval", "startPeriod", "grace"],
  ...["minHealthyTime", "healthyDeadline", "progressDeadline", "promoteDeadline", "shutdownDelay", "monitor"],
];
const DURATION = /^(0|(\d+(\.\d+)?(ms|s|m|h|d))+)$/.source;

function withDurations(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withDurations);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, each]) => {
      const isDuration = DURATIONS.includes(key) && (each as Json)?.type === "string";
      return [
        key,
        isDuration ? { ...each as Json, pattern: DURATION, examples: ["5s", "1m30s"] } : withDurations(each),
      ];
    }),
  );
}

function describe(schema: Json, kind: keyof typeof DESCRIPTIONS): void {
  const properties = schema.properties as Record<string, Json>;
  for (const [key, description] of Object.entries(DESCRIPTIONS[kind])) {
    if (Object.hasOwn(properties, key)) properties[key] = { description, ...properties[key] };
  }
}

const DESCRIPTIONS = {
  workflow: {
    name: "Name of the workflow; runs are named after it.",
    description: "For people.",
    params: "What a run is given: `-p key=value`. Expressions read `params.key`.",
    env: "Variables of every step.",
    secrets: "Names of secrets that every step gets as variables, or { NAME: { file: /path } }.",
    schedule: "When runs start by themselves, once it is applied.",
    concurrency: "How many runs of a group go at once, and what becomes of one more.",
    timeout: "Of a whole run.",
    defaults: "What steps have that do not say otherwise.",
    steps: "By name. A step starts when what it needs is done.",
    onFailure: "Steps that run one after the other when a step has failed.",
    finally: "Steps that run one after the other at the end, whatever happened.",
    outputs: "What a run gives, filled in at its end.",
  },
  step: {
    needs: "Steps before it: names, or { step, condition: started | healthy | succeeded | finished }.",
    when: "Expression: it is skipped where this is false. Without a status function it also needs success().",
    env: "Variables of this step.",
    secrets: "Secrets of this step alone.",
    matrix: "An instance for each combination, with include and exclude as GitHub Actions has them.",
    forEach: "One ${{ }} that gives a list: an instance for each `item`.",
    maxParallel: "Instances at the same time.",
    failFast: "Whether a failed instance cancels the others; true by default.",
    timeout: "Of one attempt.",
    retry: "What follows a failed attempt: delay * factor^n, at most maxDelay.",
    continueOnError: "Its failure does not fail the run.",
    outputs: "What others read as steps.NAME.outputs.KEY; may use stdout, stderr and exitCode.",
    onNodeLost: "wait: until the node is back; retry: elsewhere, which may overlap.",
    onCrash: "What becomes of an attempt of which nothing is known after a crash.",
    task: "A container: a task document, as `ormen run -f` takes it.",
    run: "A script, in the container of `task`, or else on the sailor's host. Data reaches it through `env`.",
    shell: "What runs the script; sh -eu by default.",
    files: "Files in the container: text, { content, mode }, or { from } a file beside this one.",
    http: "A request that a sailor makes.",
    approval: "Waits for somebody to approve.",
    sleep: "Waits for so long.",
    workflow: "Runs another workflow: a file beside this one, or a registered name.",
    with: "Params of that workflow.",
    rollout: "Applies a service, and waits until it is rolled out; gives revision, addresses and address.",
  },
} as const;
