/** Masking: no value gets through, however a stream is cut, and nothing else is touched. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createMasker } from "../../lib/core/mask.ts";

const encode = (text: string) => new TextEncoder().encode(text);

function through(values: readonly string[], chunks: readonly Uint8Array[]): string {
  const stream = createMasker(values)!.stream();
  const parts = [...chunks.map((chunk) => stream.push(chunk)), stream.end()];
  return new TextDecoder().decode(Uint8Array.from(parts.flatMap((part) => [...part])));
}

Deno.test("createMasker() hides a value, each of its longer lines, and base64 of them", () => {
  const masker = createMasker(["hunter2!", "-----KEY\nabcdef\nxy\n"])!;
  assert.equal(masker.text("a hunter2! b hunter2!"), "a *** b ***");
  assert.equal(masker.text("1 -----KEY\n2 abcdef\n3 xy"), "1 ***\n2 ***\n3 xy");
  assert.equal(masker.text(`basic ${btoa("hunter2!")}`), "basic ***=");
  assert.equal(createMasker([]), undefined);
});

Deno.test("createMasker() takes values literally", () => {
  assert.equal(createMasker(["a.b*(c)"])!.text("a.b*(c) axbbc"), "*** axbbc");
  assert.equal(createMasker(["größe♥"])!.text("die größe♥ und größe"), "die *** und größe");
});

Deno.test("stream() holds back no more than what may become a value, and tells the rest at its end", () => {
  const stream = createMasker(["secret-value"])!.stream();
  const told = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(told(stream.push(encode("a line\n"))), "a line\n");
  assert.equal(told(stream.push(encode("see secret-"))), "see ");
  assert.equal(told(stream.push(encode("santa\n"))), "secret-santa\n");
  assert.equal(told(stream.push(encode("secret-val"))), "");
  assert.equal(told(stream.end()), "secret-val");
});

Deno.test("no value survives in a stream, wherever its chunks are cut", () => {
  const value = fc.string({ unit: fc.constantFrom("a", "b", "é", "*", "\n", "x"), minLength: 4, maxLength: 9 });
  const noise = fc.string({ unit: fc.constantFrom("a", "b", "é", "-"), maxLength: 8 });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 1, maxLength: 3 }),
      fc.array(noise, { maxLength: 4 }),
      fc.array(fc.nat(6)),
      (values, noises, cuts) => {
        const text = noises.map((each, i) => each + values[i % values.length]).join("") + "ab";
        const bytes = encode(text);
        const chunks: Uint8Array[] = [];
        let at = 0;
        for (const cut of cuts) chunks.push(bytes.subarray(at, at += cut));
        chunks.push(bytes.subarray(at));
        const told = through(values, chunks);
        // Made of asterisks, a value may stand in the mask itself.
        for (const each of values) {
          if (!/^[*\n]+$/.test(each) && !each.includes("*")) {
            assert.ok(
              !told.includes(each),
              JSON.stringify({ told, each }),
            );
          }
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

Deno.test("what holds no value comes through as it was", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }), (chunks) => {
      const stream = createMasker(["no such value"])!.stream();
      const told = [...chunks.map((chunk) => stream.push(chunk)), stream.end()].flatMap((part) => [...part]);
      assert.deepEqual(told, chunks.flatMap((chunk) => [...chunk]));
    }),
  );
});
