/**
 * What a step of a workflow does on the fake engine: its script, in a language of a few words, one a line.
 *
 *   print TEXT         a line on stdout            error TEXT   a line on stderr
 *   output KEY=VALUE   a line behind ORMEN_OUTPUT  exit CODE    ends at once
 *   sleep 5s           later lines come later      stay         runs until it is stopped
 *   healthy after 2s   commands (health checks) fail until then
 *
 * It ends with 0 after its last line. Other lines, comments among them, do nothing: a shell's script runs as an empty one.
 * A request is answered at once, with 200 and no headers.
 */
import type { ContainerSpec } from "../contracts/runtime.ts";
import { parseDuration } from "../core/documents/units.ts";
import type { FakeLine, FakeScript } from "./fake_runtime.ts";

export function scriptOfStep({ script, http }: ContainerSpec): FakeScript {
  if (http) return { exit: { afterMs: 0, code: 0 }, answer: { status: 200, headers: {} } };
  return script ? readScript(script.text) : {};
}

export function readScript(text: string): FakeScript {
  const lines: FakeLine[] = [];
  let output = "";
  let afterMs = 0;
  let healthyMs = 0;
  const done = (code: number | null): FakeScript => ({
    lines,
    output,
    exec: (_command, _stdin, sinceStartMs) => ({ code: sinceStartMs >= healthyMs ? 0 : 1 }),
    ...(code === null ? {} : { exit: { afterMs, code } }),
  });
  for (const line of text.split("\n")) {
    const [, word, rest = ""] = /^\s*(\S+)\s?(.*)$/.exec(line) ?? [];
    if (word === "print") lines.push({ afterMs, text: rest });
    else if (word === "error") lines.push({ afterMs, text: rest, stream: "stderr" });
    else if (word === "output") output += `${rest}\n`;
    else if (word === "sleep") afterMs += parseDuration(rest.trim()) ?? 0;
    else if (word === "healthy") healthyMs = parseDuration(rest.replace(/^after\s+/, "").trim()) ?? 0;
    else if (word === "exit") return done(Number(rest) || 0);
    else if (word === "stay") return done(null);
  }
  return done(0);
}
