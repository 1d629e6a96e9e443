/**
 * YAML text to plain data, with places for error messages. The only home of the yaml package in this folder, so that it can
 * be loaded when the first such body comes. One document, YAML 1.2, no merge keys; aliases may not multiply the data.
 */
import { isNode, LineCounter, parseDocument } from "yaml";
import { Refusal } from "./problems.ts";
import { shapeProblem } from "./plain_data.ts";
import type { Document } from "./plain_data.ts";

const ALIASES_MAX = 50;

export function parseYaml(text: string): Omit<Document, "bytes"> {
  const lines = new LineCounter();
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${line}:${col}`;
  };
  const malformed = (detail: string) => new Refusal(400, "malformed", `malformed YAML ${detail}`);
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
    const error = document.errors[0];
    if (error) throw malformed(`at ${place(error.pos[0])}: ${error.message}`);
    const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
    const problem = shapeProblem(value);
    if (problem) throw malformed(`: ${problem}`);
    if (value === null || value === undefined) throw malformed(": the document is empty");
    return {
      value,
      locate(path) {
        const node = document.getIn(path as string[], true);
        return isNode(node) && node.range ? place(node.range[0]) : undefined;
      },
    };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    // The package recurses: text that nests thousands of levels deep exhausts the stack before it can be measured.
    if (error instanceof RangeError) throw malformed(": it nests too deeply");
    throw malformed(`: ${(error as Error).message}`);
  }
}
