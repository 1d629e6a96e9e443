/** parseTemplate(): where an expression begins and ends within a text. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { hasExpression, parseTemplate } from "../../../lib/core/workflow/template.ts";

/** Parts as `text` or `[expression, offset]`. */
const PARTS: readonly (readonly [string, readonly (string | readonly [string, number])[]])[] = [
  ["", []],
  ["plain $ { } {{ }} text", ["plain $ { } {{ }} text"]],
  ["${{ a }}", [["a", 4]]],
  ["${{a}}", [["a", 3]]],
  ["x${{ a }}y${{ b }}z", ["x", ["a", 5], "y", ["b", 14], "z"]],
  ["${{ a }}${{ b }}", [["a", 4], ["b", 12]]],
  ["${{ {'a': {'b': 1}} }}", [["{'a': {'b': 1}}", 4]]],
  ["${{ '}}' }} ${{ \"}}\" }}", [["'}}'", 4], " ", ['"}}"', 16]]],
  ["${{ 'it\\'s }}' }}", [["'it\\'s }}'", 4]]],
  ["${{\n  a\n}}\n", [["a", 6], "\n"]],
  ["${{ a }}}}", [["a", 4], "}}"]],
];
for (const [text, parts] of PARTS) {
  Deno.test(`parseTemplate() ${JSON.stringify(text)}`, () => {
    const parsed = parseTemplate(text);
    assert.equal(parsed.kind, "template");
    if (parsed.kind !== "template") return;
    assert.deepEqual(parsed.parts.map((part) => part.kind === "text" ? part.text : [part.source, part.offset]), parts);
    for (const part of parsed.parts) {
      if (part.kind === "expression") assert.ok(text.startsWith(part.source, part.offset));
    }
  });
}

const PROBLEMS: readonly (readonly [string, RegExp, number])[] = [
  ["a ${{ b", /without its `}}`/, 2],
  ["${{ a } }", /without its/, 0],
  ["${{ 'a }}", /without its/, 0],
  ["${{ }}", /without an expression/, 0],
  ["ok ${{ a }} ${{}}", /without an expression/, 12],
];
for (const [text, says, offset] of PROBLEMS) {
  Deno.test(`parseTemplate() refuses ${JSON.stringify(text)}`, () => {
    const parsed = parseTemplate(text);
    assert.equal(parsed.kind, "problem");
    if (parsed.kind !== "problem") return;
    assert.match(parsed.detail, says);
    assert.equal(parsed.offset, offset);
  });
}

Deno.test("parseTemplate() loses nothing: texts and expressions put together are the text", () => {
  const text = fc.string().filter((each) => !each.includes("$"));
  const source = fc.constantFrom("a", "a + 'x}}y'", "{'k': {'l': 1}}", 'f("\\"}}")', 'x["}"]');
  fc.assert(fc.property(text, fc.array(fc.tuple(source, text)), (first, rest) => {
    const whole = first + rest.map(([expression, after]) => `\${{ ${expression} }}${after}`).join("");
    const parsed = parseTemplate(whole);
    assert.equal(parsed.kind, "template");
    if (parsed.kind !== "template") return;
    const again = parsed.parts.map((part) => part.kind === "text" ? part.text : `\${{ ${part.source} }}`).join("");
    assert.equal(again, whole);
    assert.equal(parsed.parts.filter(({ kind }) => kind === "expression").length, rest.length);
    assert.equal(hasExpression(whole), rest.length > 0);
  }));
});

Deno.test("parseTemplate() answers for any text", () => {
  const texts = fc.array(fc.constantFrom("${{", "}}", "{", "}", "'", '"', "\\", " ", "a")).map((parts) =>
    parts.join("")
  );
  fc.assert(fc.property(texts, (text) => {
    const parsed = parseTemplate(text);
    if (parsed.kind === "problem") assert.ok(parsed.offset < text.length);
    else assert.equal(parsed.parts.some(({ kind }) => kind === "expression"), text.includes("${{"));
  }));
});
