/** A tar archive (ustar) of a few small files with their directories, for the Engine's archive call. */
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
