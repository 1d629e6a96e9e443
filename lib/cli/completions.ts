/** `ormen completions`: shell scripts made from the commands themselves, so that they never lag behind. */
import type { Command, Option } from "commander";
import { action, type Context, printJson, withExample, withJson } from "./context.ts";
import { wrongUsage } from "./failure.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = typeof SHELLS[number];

export function addCompletions(program: Command, context: Context): void {
  const command = program.command("completions").argument("<shell>", SHELLS.join(", "))
    .description("print a script that completes commands and options");
  withExample(
    withJson(command),
    "source <(ormen completions bash)",
    "ormen completions fish > ~/.config/fish/completions/ormen.fish",
  );
  command.action(action(context, (shell: string, options: { json?: boolean }) => {
    if (!(SHELLS as readonly string[]).includes(shell)) {
      throw wrongUsage(`no completions for "${shell}"; there are those of ${SHELLS.join(", ")}`);
    }
    const script = completionScript(program, shell as Shell);
    if (options.json) printJson(context.io, { shell, script });
    else context.io.out(script);
  }));
}

export function completionScript(program: Command, shell: Shell): string {
  const nodes = nodesOf(program, "");
  switch (shell) {
    case "bash":
      return bash(nodes);
    case "zsh":
      // zsh runs bash's functions once it is told to.
      return `#compdef ormen\nautoload -U +X compinit && compinit -u\nautoload -U +X bashcompinit && bashcompinit\n${
        bash(nodes)
      }`;
    case "fish":
      return fish(nodes);
    default:
      return shell satisfies never;
  }
}

interface Node {
  /** `mast drain`; empty for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly commands: readonly string[];
  readonly options: readonly Option[];
  /** Fixed words that may follow. */
  readonly words: readonly string[];
  /** Whether an argument may be a file. */
  readonly takesFile: boolean;
}

function nodesOf(command: Command, path: string): Node[] {
  const inner = command.commands.flatMap((each) => nodesOf(each, `${path} ${each.name()}`.trim()));
  return [{
    path,
    description: command.description(),
    commands: command.commands.map((each) => each.name()),
    options: command.createHelp().visibleOptions(command),
    words: path === "completions" ? SHELLS : [],
    takesFile: command.registeredArguments.some((argument) => /\bfile\b/.test(argument.name())),
  }, ...inner];
}

function flagsOf(option: Option): string[] {
  return [option.short, option.long].filter((flag): flag is string => flag !== undefined && flag !== null);
}

function bash(nodes: readonly Node[]): string {
  const paths = nodes.filter((node) => node.path !== "").map((node) => `"${node.path}"`).join("|");
  const values = nodes.flatMap((node) =>
    node.options.filter((option) => option.required).map((option) => {
      const patterns = flagsOf(option).map((flag) => `"${node.path}:${flag}"`).join("|");
      const reply = option.argChoices
        ? `COMPREPLY=($(compgen -W "${option.argChoices.join(" ")}" -- "$cur"))`
        : /<(file|dir)>/.test(option.flags)
        ? `COMPREPLY=($(compgen -f -- "$cur"))`
        : "COMPREPLY=()";
      return `    ${patterns}) ${reply}; return ;;`;
    })
  );
  const words = nodes.map((node) => {
    const all = [...node.commands, ...node.words, ...node.options.flatMap(flagsOf)];
    return `    "${node.path}") words="${all.join(" ")}"${node.takesFile ? " files=1" : ""} ;;`;
  });
  return `# Completions of ormen for bash. Made by: ormen completions bash
_ormen() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" files="" word i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    case "\${path:+$path }$word" in
    ${paths}) path="\${path:+$path }$word" ;;
    esac
  done
  case "$path:$prev" in
${values.join("\n")}
  esac
  case "$path" in
${words.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -n "$files" ]; then COMPREPLY+=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _ormen ormen
`;
}

function fish(nodes: readonly Node[]): string {
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = ["# Completions of ormen for fish. Made by: ormen completions fish", "complete -c ormen -f"];
  for (const node of nodes) {
    const seen = node.path.split(" ").filter((word) => word !== "").map((word) =>
      `__fish_seen_subcommand_from ${word}`
    );
    const inner = node.commands.length > 0 ? [`not __fish_seen_subcommand_from ${node.commands.join(" ")}`] : [];
    const when = [...seen, ...inner].join("; and ");
    const condition = when === "" ? "" : ` -n ${quote(when)}`;
    for (const name of node.commands) {
      const command = nodes.find((each) => each.path === `${node.path} ${name}`.trim())!;
      lines.push(`complete -c ormen${condition} -a ${name} -d ${quote(command.description)}`);
    }
    if (node.words.length > 0) lines.push(`complete -c ormen${condition} -a ${quote(node.words.join(" "))}`);
    if (node.takesFile) lines.push(`complete -c ormen${condition} -F`);
    for (const option of node.options) {
      const flags = flagsOf(option).map((flag) =>
        flag.startsWith("--") ? ` -l ${flag.slice(2)}` : ` -s ${flag.slice(1)}`
      );
      const value = !option.required
        ? ""
        : option.argChoices
        ? ` -x -a ${quote(option.argChoices.join(" "))}`
        : /<(file|dir)>/.test(option.flags)
        ? " -r -F"
        : " -x";
      lines.push(`complete -c ormen${condition}${flags.join("")}${value} -d ${quote(option.description)}`);
    }
  }
  return lines.join("\n") + "\n";
}
