/**
 * Finds out why a text is no JSON, and where. JSON.parse is what parses; this looks again only at what it refused, because
 * its messages name no position in half of the cases. The words are those of Go's encoding/json, which clients of the
 * original's routes know (https://github.com/golang/go/blob/master/src/encoding/json/scanner.go).
 *
 * Works on an explicit stack: hostile nesting costs nothing but `depthMax` characters.
 */

export type JsonScan =
  /** One complete value ends before `end`; what follows was not looked at. */
  | { readonly kind: "value"; readonly end: number }
  /** Nothing but white space. */
  | { readonly kind: "empty" }
  /** The text ends inside a value. */
  | { readonly kind: "cut" }
  | { readonly kind: "invalid"; readonly at: number; readonly message: string }
  | { readonly kind: "tooDeep"; readonly at: number };

type Expect = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd";

const CUT = { kind: "cut" } as const;

export function scanJson(text: string, depthMax: number): JsonScan {
  const stack: ("{" | "[")[] = [];
  let expect: Expect = "value";
  let at = 0;
  while (true) {
    while (isSpace(text.charCodeAt(at))) at++;
    if (at >= text.length) return stack.length === 0 ? { kind: "empty" } : CUT;
    const char = text[at];
    let ended = false;
    switch (expect) {
      case "valueOrEnd":
      case "value": {
        if (char === "{" || char === "[") {
          if (stack.length >= depthMax) return { kind: "tooDeep", at };
          stack.push(char);
          expect = char === "{" ? "keyOrEnd" : "valueOrEnd";
          at++;
          break;
        }
        if (char === "]" && expect === "valueOrEnd") {
          stack.pop();
          at++;
        } else {
          const next = scanScalar(text, at);
          if (typeof next !== "number") return next;
          at = next;
        }
        ended = true;
        break;
      }
      case "keyOrEnd":
      case "key": {
        if (char === "}" && expect === "keyOrEnd") {
          stack.pop();
          at++;
          ended = true;
          break;
        }
        if (char !== '"') return invalid(text, at, "looking for beginning of object key string");
        const next = scanString(text, at);
        if (typeof next !== "number") return next;
        at = next;
        expect = "colon";
        break;
      }
      case "colon":
        if (char !== ":") return invalid(text, at, "after object key");
        at++;
        expect = "value";
        break;
      case "commaOrEnd": {
        const open = stack[stack.length - 1];
        if (char === ",") {
          expect = open === "{" ? "key" : "value";
        } else if (char === (open === "{" ? "}" : "]")) {
          stack.pop();
          ended = true;
        } else {
          return invalid(text, at, open === "{" ? "after object key:value pair" : "after array element");
        }
        at++;
        break;
      }
      default:
        return expect satisfies never;
    }
    if (!ended) continue;
    if (stack.length === 0) return { kind: "value", end: at };
    expect = "commaOrEnd";
  }
}

function scanScalar(text: string, at: number): number | JsonScan {
  const char = text[at];
  if (char === '"') return scanString(text, at);
  if (char === "t") return scanLiteral(text, at, "true");
  if (char === "f") return scanLiteral(text, at, "false");
  if (char === "n") return scanLiteral(text, at, "null");
  if (char === "-" || isDigit(char)) return scanNumber(text, at);
  return invalid(text, at, "looking for beginning of value");
}

function scanLiteral(text: string, start: number, literal: string): number | JsonScan {
  for (let index = 1; index < literal.length; index++) {
    const at = start + index;
    if (at >= text.length) return CUT;
    if (text[at] !== literal[index]) return invalid(text, at, `in literal ${literal} (expecting '${literal[index]}')`);
  }
  return start + literal.length;
}

function scanString(text: string, start: number): number | JsonScan {
  let at = start + 1;
  for (; at < text.length; at++) {
    const char = text[at];
    if (char === '"') return at + 1;
    if (char < " ") return invalid(text, at, "in string literal");
    if (char !== "\\") continue;
    at++;
    if (at >= text.length) return CUT;
    if (text[at] === "u") {
      for (let digit = 0; digit < 4; digit++) {
        at++;
        if (at >= text.length) return CUT;
        if (!/[0-9a-fA-F]/.test(text[at])) return invalid(text, at, "in \\u hexadecimal character escape");
      }
    } else if (!'"\\/bfnrt'.includes(text[at])) {
      return invalid(text, at, "in string escape code");
    }
  }
  return CUT;
}

function scanNumber(text: string, start: number): number | JsonScan {
  let at = start;
  const digits = (where: string): JsonScan | undefined => {
    if (at >= text.length) return CUT;
    if (!isDigit(text[at])) return invalid(text, at, where);
    while (isDigit(text[at])) at++;
    return undefined;
  };
  if (text[at] === "-") at++;
  if (text[at] === "0") at++;
  else {
    const problem = digits("in numeric literal");
    if (problem) return problem;
  }
  if (text[at] === ".") {
    at++;
    const problem = digits("after decimal point in numeric literal");
    if (problem) return problem;
  }
  if (text[at] === "e" || text[at] === "E") {
    at++;
    if (text[at] === "+" || text[at] === "-") at++;
    const problem = digits("in exponent of numeric literal");
    if (problem) return problem;
  }
  return at;
}

function invalid(text: string, at: number, context: string): JsonScan {
  return { kind: "invalid", at, message: `invalid character ${quoteChar(text, at)} ${context}` };
}

/** Go reads bytes: of a character beyond ASCII it names the first byte of its UTF-8 form. */
function quoteChar(text: string, at: number): string {
  const char = String.fromCharCode(new TextEncoder().encode(String.fromCodePoint(text.codePointAt(at)!))[0]);
  if (char === "'") return "'\\''";
  if (char === '"') return `'"'`;
  return `'${JSON.stringify(char).slice(1, -1)}'`;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= "0" && char <= "9";
}
