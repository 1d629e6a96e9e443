/** Hostile values, and small changes to honest data and text: most of a case stays right, so that it comes far. */
import fc from "fast-check";

export const ODD_TEXTS: readonly string[] = [
  "",
  " ",
  "\0",
  "\u001b[2J",
  "\n",
  "../../etc/passwd",
  "..%2f..%2fetc",
  "%00",
  "%zz",
  "%",
  "a/b",
  "__proto__",
  "constructor",
  "toString",
  "web",
  "null",
  "NaN",
  "-1",
  "0",
  "65536",
  "1e400",
  "99999999999999999999",
  "\ud800",
  "\u202egpj.exe",
  "💣".repeat(40),
  "a".repeat(300),
  "x".repeat(70_000),
  "*",
  "?a=b&a=c",
  "2026-01-31T08:00:00Z",
  "10s",
  "9007199254740993s",
  "1e9h",
  "64MiB",
  "8080:80/tcp",
  "0:0",
  "[::]:80:80",
  "REGISTRY:5000/../x@sha256:zz",
  "image with spaces",
  "honest-node",
  "21b23589-5d2d-4731-b5c9-a97e9832d021-1",
  "x".repeat(16_000) + "\0".repeat(300),
  "\0".repeat(9_000),
  "on-failure:99999999",
  "node.labels.x == ",
  "/a/../b:/c",
  "SIGKILL; rm -rf /",
];

const oddText = fc.oneof(fc.constantFrom(...ODD_TEXTS), fc.string({ maxLength: 40, unit: "binary" }));
const oddNumber = fc.oneof(
  fc.constantFrom(0, -0, -1, 0.5, 1, 2, 65_535, 65_536, 2 ** 31, 2 ** 53, 1e20, 1e300, -1e300, 8.64e15 + 1, 5e-324),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
);

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { a: value };
  return value;
}

/** Anything that JSON can say. */
export const oddValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: oddText },
  { weight: 4, arbitrary: oddNumber },
  { weight: 3, arbitrary: fc.constantFrom<unknown>(null, true, false, [], {}, [[]], [null], { a: {} }) },
  { weight: 1, arbitrary: fc.constantFrom(10, 63, 64, 65, 2_000).map(nested) },
  { weight: 1, arbitrary: fc.constantFrom(100, 1_000, 11_000).map((length) => Array(length).fill("a")) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(65, 300, 3_000).map((n) =>
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`k${i}`, "v"]))
    ),
  },
  { weight: 2, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
);

export interface Change {
  readonly at: number;
  readonly what: "replace" | "remove" | "repeat" | "add";
  readonly key: string;
  readonly value: unknown;
  /** Set: numbers are replaced by this number, texts by this text; others of their kind come further than anything else. */
  readonly alike: { readonly number: number; readonly text: string } | null;
}

export const changes: fc.Arbitrary<readonly Change[]> = fc.array(
  fc.record({
    at: fc.nat(200),
    what: fc.constantFrom("replace", "replace", "replace", "remove", "repeat", "add"),
    key: fc.constantFrom("extra", "__proto__", "constructor", "nmae", "", "a/b~c", "k".repeat(5_000)),
    value: oddValue,
    alike: fc.option(fc.record({ number: oddNumber, text: oddText }), { freq: 3 }),
  }),
  { maxLength: 3 },
);

type Holder = Record<string, unknown> | unknown[];

/** A copy of `value` with the changes made, each at a place that `at` picks among all. */
export function changed(value: unknown, list: readonly Change[]): unknown {
  const root = { value: structuredClone(value) };
  for (const { at, what, key, value, alike } of list) {
    const places: { holder: Holder; key: string }[] = [];
    collect(root, places);
    const place = places[at % places.length];
    const holder = place.holder as Record<string, unknown>;
    const odd = oddFor(holder[place.key], alike) ?? structuredClone(value);
    if (what === "replace") holder[place.key] = odd;
    else if (what === "remove" && place.holder !== root) delete holder[place.key];
    else if (what === "repeat" && Array.isArray(holder[place.key])) {
      const items = holder[place.key] as unknown[];
      holder[place.key] = [...items, ...items, ...items];
    } else if (what === "add" && typeof holder[place.key] === "object" && holder[place.key] !== null) {
      Object.defineProperty(holder[place.key], key, {
        value: odd,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }
  return root.value;
}

function oddFor(value: unknown, alike: Change["alike"]): unknown {
  if (alike === null) return undefined;
  return typeof value === "number" ? alike.number : typeof value === "string" ? alike.text : undefined;
}

function collect(holder: Holder, places: { holder: Holder; key: string }[]): void {
  for (const key of Object.keys(holder).slice(0, 100)) {
    places.push({ holder, key });
    const below = (holder as Record<string, unknown>)[key];
    if (places.length < 1_000 && typeof below === "object" && below !== null) collect(below as Holder, places);
  }
}

export interface Cut {
  readonly at: number;
  readonly what: "drop" | "insert" | "end";
  readonly text: string;
}

/** Changes to a text, whatever it means: cut short, characters lost, marks put in. */
export const cuts: fc.Arbitrary<readonly Cut[]> = fc.array(
  fc.record({
    at: fc.nat(),
    what: fc.constantFrom("drop", "insert", "end"),
    text: fc.oneof(
      fc.constantFrom(...'{}[]",:\\&*!|>-#%@`', "\0", "NaN", "1e999", "\t", "\n", "\ufeff", "&a [*a,*a]", "? ", "<<: "),
      oddText,
    ),
  }),
  { maxLength: 2 },
);

export function cut(text: string, list: readonly Cut[]): string {
  for (const { at, what, text: odd } of list) {
    const place = at % (text.length + 1);
    if (what === "drop") text = text.slice(0, place) + text.slice(place + 1);
    else if (what === "insert") text = text.slice(0, place) + odd + text.slice(place);
    else text = text.slice(0, place);
  }
  return text;
}

export { oddText };
