/** `ormen workflow graph`: the steps of a workflow and who waits for whom; of a run with their states. A file asks no deck. */
import type { Command } from "commander";
import { Option } from "commander";
import type { GraphFormat } from "../../core/workflow/render_graph.ts";
import type { WorkflowSpec } from "../../core/documents/workflow.ts";
import { action, type Context, deckOf, type DeckOption, type JsonOption, printJson } from "../context.ts";
import { withDeck, withExample, withJson } from "../context.ts";
import { CommandFailure } from "../failure.ts";
import { countStates, countsText, stepWord } from "./run_rows.ts";
import { isFile } from "./start.ts";

// As in render_graph.ts, which is loaded when a graph is drawn.
const FORMATS: readonly GraphFormat[] = ["text", "mermaid", "dot"];

interface GraphOptions extends DeckOption, JsonOption {
  readonly format: GraphFormat;
}

export function addGraph(workflow: Command, context: Context): void {
  const command = workflow.command("graph")
    .argument("<file|run>", "a workflow's file, - for standard input; or a run, or a workflow's name for its newest")
    .description("draw the steps of a workflow's file, or of a run with their states");
  withDeck(command)
    .addOption(new Option("--format <format>", "how to draw it").choices(FORMATS).default("text"));
  withExample(
    withJson(command),
    "ormen workflow graph deploy.yaml",
    "ormen workflow graph deploy-7f3a",
    "ormen workflow graph deploy.yaml --format dot | dot -Tsvg > deploy.svg",
  );
  command.action(action(context, (file, options) => graph(context, file, options)));
}

async function graph(context: Context, target: string, options: GraphOptions): Promise<void> {
  const { io } = context;
  const { graphSteps, renderGraph } = await import("../../core/workflow/render_graph.ts");
  const { spec, states } = isFile(target) ? await ofFile(context, target) : await ofRun(context, target, options);
  if (!options.json) return io.out(renderGraph(spec, options.format, states));
  const steps = graphSteps(spec).map(({ step, phase, needs, stage }) => ({
    ...{ name: step.id, kind: step.action.kind, phase, stage, needs, when: step.when },
    ...(states ? { state: states.get(step.id) } : {}),
  }));
  printJson(io, { workflow: spec.name, steps });
}

interface Drawn {
  readonly spec: WorkflowSpec;
  readonly states?: ReadonlyMap<string, string>;
}

async function ofFile({ io }: Context, path: string): Promise<Drawn> {
  const { readCheckedSource } = await import("./source_file.ts");
  return { spec: (await readCheckedSource(path, () => io.readText())).spec };
}

async function ofRun(context: Context, reference: string, options: DeckOption): Promise<Drawn> {
  const deck = deckOf(context, options);
  const run = await deck.run(reference);
  const { checkSource } = await import("../../core/workflow/validate.ts");
  const checked = checkSource(await deck.runSource(run.id));
  if (checked.kind === "invalid") {
    throw new CommandFailure(`the document of run ${run.id} is not valid here: ${checked.problems[0].detail}`);
  }
  const states = Object.entries(run.steps).map(([name, step]): [string, string] => {
    const counts = step.instances?.length ? ` (${countsText(countStates(step.instances))})` : "";
    return [name, `${stepWord(step.state)}${counts}`];
  });
  return { spec: checked.spec, states: new Map(states) };
}
