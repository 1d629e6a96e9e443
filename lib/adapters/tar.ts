/** Tar archives (ustar) of a few small files with their directories, for the Engine's archive call, in both directions. */
import type { FileSpec } from "../core/documents/task.ts";

const BLOCK = 512;
const encoder = new TextEncoder();

/** Throws when a path does not fit into the format's 255 bytes. */
export function tarOf(files: readonly FileSpec[]): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const file of files) {
    const data = encoder.encode(file.content);
    const padded = new Uint8Array(Math.ceil(data.length / BLOCK) * BLOCK);
    padded.set(data);
    blocks.push(header(file.path.slice(1), file.mode, data.length), padded);
  }
  blocks.push(new Uint8Array(2 * BLOCK));
  const total = blocks.reduce((sum, block) => sum + block.length, 0);
  const archive = new Uint8Array(total);
  let at = 0;
  for (const block of blocks) {
    archive.set(block, at);
    at += block.length;
  }
  return archive;
}

/** `other`: a link, a directory or the like; `large`: a file with more bytes than may be read. */
export type TarEntry =
  | { readonly kind: "file"; readonly data: Uint8Array }
  | { readonly kind: "other" }
  | { readonly kind: "large" };

const EXTENDED_BYTES_MAX = 64 * 1024;

/** The first entry, and no byte of what follows it. Throws when it is no archive, or ends too soon. */
export async function firstOfTar(source: AsyncIterable<Uint8Array>, bytesMax: number): Promise<TarEntry> {
  const iterator = source[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array(0);
  const take = async (count: number): Promise<Uint8Array> => {
    const parts = [held];
    let length = held.length;
    while (length < count) {
      const next = await iterator.next();
      if (next.done) throw new Error("the archive ends too soon");
      parts.push(next.value);
      length += next.value.length;
    }
    const all = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    held = all.subarray(count);
    return all.subarray(0, count);
  };
  const padded = (size: number) => Math.ceil(size / BLOCK) * BLOCK;
  while (true) {
    const block = await take(BLOCK);
    const size = sizeIn(block);
    const type = String.fromCharCode(block[156]);
    // Times and attributes of the entry that follows, in the extended formats.
    if (type === "x" || type === "g") {
      if (size > EXTENDED_BYTES_MAX) throw new Error("the archive has a header that is too large");
      await take(padded(size));
    } else if (type !== "0" && type !== "\0") return { kind: "other" };
    else if (size > bytesMax) return { kind: "large" };
    else return { kind: "file", data: (await take(padded(size))).subarray(0, size) };
  }
}

/** Throws when the block is no header. Sizes of 8 GiB and more are written otherwise, and are too large for anybody here. */
function sizeIn(block: Uint8Array): number {
  if (new TextDecoder().decode(block.subarray(257, 262)) !== "ustar") throw new Error("the archive is none");
  if (block[124] & 0x80) return Number.MAX_SAFE_INTEGER;
  const text = new TextDecoder().decode(block.subarray(124, 136)).replace(/[\0 ]+$/, "").trim();
  if (!/^[0-7]+$/.test(text)) throw new Error("the archive has a senseless size");
  return parseInt(text, 8);
}

function header(path: string, mode: number, size: number): Uint8Array {
  const block = new Uint8Array(BLOCK);
  const [prefix, name] = splitPath(path);
  const put = (text: string, at: number) => block.set(encoder.encode(text), at);
  put(name, 0);
  put(octal(mode, 7), 100);
  put(octal(0, 7), 108);
  put(octal(0, 7), 116);
  put(octal(size, 11), 124);
  put(octal(0, 11), 136);
  put("        ", 148);
  put("0", 156);
  put("ustar\0" + "00", 257);
  put(prefix, 345);
  const sum = block.reduce((total, byte) => total + byte, 0);
  put(octal(sum, 6) + "\0 ", 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function splitPath(path: string): [string, string] {
  if (encoder.encode(path).length <= 100) return ["", path];
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const [prefix, name] = [path.slice(0, slash), path.slice(slash + 1)];
    if (encoder.encode(prefix).length <= 155 && encoder.encode(name).length <= 100) return [prefix, name];
  }
  throw new Error(`the path /${path} is too long to be placed`);
}
