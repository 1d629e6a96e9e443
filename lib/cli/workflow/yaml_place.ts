/** Where in a YAML text something stands that is known by its path, or by its place in one of the values. */
import type { Document } from "../yaml.ts";
import { isAlias, isMap, isPair, isScalar, isSeq, Scalar } from "../yaml.ts";

/**
 * Position in `text` of the key or item that `path` leads to, or of the nearest thing around it. With `offset` the
 * position of that place within the value, which must be a text.
 */
export function positionOf(
  document: Document.Parsed,
  text: string,
  path: readonly PropertyKey[],
  offset: number | null,
): number {
  let position = document.contents?.range?.[0] ?? 0;
  let node: unknown = document.contents;
  let isWhole = true;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    const item = isMap(node)
      ? node.items.find(({ key }) => String(key) === String(step))
      : isSeq(node)
      ? node.items[Number(step)]
      : undefined;
    if (item === undefined) {
      isWhole = false;
      break;
    }
    node = isPair(item) ? item.value : item;
    position = startOf(isPair(item) ? item.key : item) ?? position;
  }
  if (isAlias(node)) node = node.resolve(document);
  if (!isWhole || offset === null || !isScalar(node) || typeof node.value !== "string") return position;
  return positionInScalar(node as Scalar<string>, text, offset) ?? position;
}

function startOf(node: unknown): number | undefined {
  return (node as { readonly range?: readonly number[] | null } | null)?.range?.[0];
}

/** Undefined: the text is folded in a way that does not let it be told. */
function positionInScalar(node: Scalar<string>, text: string, offset: number): number | undefined {
  const start = node.range![0];
  switch (node.type) {
    case Scalar.QUOTE_SINGLE:
      return inQuotes(text, start, node.range![1], offset, (at) => text.startsWith("''", at) ? [2, 1] : [1, 1]);
    case Scalar.QUOTE_DOUBLE:
      return inQuotes(text, start, node.range![1], offset, (at) => escapeAt(text, at));
    case Scalar.BLOCK_LITERAL:
      return inBlock(text, start, node.value, offset);
    case Scalar.PLAIN:
      return text.startsWith(node.value, start) ? start + offset : undefined;
    default:
      return undefined;
  }
}

/** `lengthsAt` tells how many characters of the source make how many of the value. */
function inQuotes(
  text: string,
  start: number,
  end: number,
  offset: number,
  lengthsAt: (at: number) => readonly [number, number],
): number | undefined {
  let at = start + 1;
  for (let passed = 0; passed < offset && at < end;) {
    if (text[at] === "\n") return undefined;
    const [written, meant] = lengthsAt(at);
    at += written;
    passed += meant;
  }
  return at;
}

function escapeAt(text: string, at: number): readonly [number, number] {
  if (text[at] !== "\\") return [1, 1];
  const digits = { x: 2, u: 4, U: 8 }[text[at + 1]];
  if (digits === undefined) return [2, 1];
  const code = parseInt(text.slice(at + 2, at + 2 + digits), 16);
  return [2 + digits, code > 0xffff ? 2 : 1];
}

/** Of a `|` block: its lines are those of the value, indented. */
function inBlock(text: string, start: number, value: string, offset: number): number {
  const before = value.slice(0, offset).split("\n");
  let at = text.indexOf("\n", start) + 1;
  const indent = indentOf(text.slice(at), value);
  for (let line = 1; line < before.length; line++) at = text.indexOf("\n", at) + 1;
  return at + indent + before[before.length - 1].length;
}

function indentOf(block: string, value: string): number {
  const first = value.split("\n").findIndex((line) => line !== "");
  const line = block.split("\n", first + 1)[first] ?? "";
  return Math.max(0, line.length - line.trimStart().length - (value.split("\n")[first] ?? "").search(/\S|$/));
}
