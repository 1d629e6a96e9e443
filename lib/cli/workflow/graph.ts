/** `ormen workflow graph`: the steps of a workflow file and who waits for whom; asks no deck. */
import type { Command } from "commander";
import { Option } from "commander";
import type { GraphFormat } from "../../core/workflow/render_graph.ts";
import { action, type Context, type JsonOption, printJson, withExample, withJson } from "../context.ts";

// As in render_graph.ts, which is loaded when a graph is drawn.
const FORMATS: readonly GraphFormat[] = ["text", "mermaid", "dot"];

interface GraphOptions extends JsonOption {
  readonly format: GraphFormat;
}

export function addGraph(workflow: Command, context: Context): void {
  const command = workflow.command("graph").argument("<file>", "a workflow in YAML or JSON; - is standard input")
    .description("draw the steps of a workflow file")
    .addOption(new Option("--format <format>", "how to draw it").choices(FORMATS).default("text"));
  withExample(
    withJson(command),
    "ormen workflow graph deploy.yaml",
    "ormen workflow graph deploy.yaml --format dot | dot -Tsvg > deploy.svg",
  );
  command.action(action(context, (file, options) => graph(context, file, options)));
}

async function graph({ io }: Context, path: string, options: GraphOptions): Promise<void> {
  const [{ readCheckedSource }, { graphSteps, renderGraph }] = await Promise.all([
    import("./source_file.ts"),
    import("../../core/workflow/render_graph.ts"),
  ]);
  const { spec } = await readCheckedSource(path, () => io.readText());
  if (!options.json) return io.out(renderGraph(spec, options.format));
  const steps = graphSteps(spec).map(({ step, phase, needs, stage }) => (
    { name: step.id, kind: step.action.kind, phase, stage, needs, when: step.when }
  ));
  printJson(io, { workflow: spec.name, steps });
}
