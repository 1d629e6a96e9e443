/** Puts a program and its runtime behind `launcher.sh`, as one file that unpacks itself at its first start. */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { tarEntry } from "../tests/fixtures/tar.ts";

// Of the launcher with its blanks filled in: where the packed part begins is known before it is written.
const LAUNCHER_BYTES = 16_384;

type Parts = {
  readonly version: string;
  readonly commit: string;
  /** From packRuntime(). */
  readonly packedRuntime: Uint8Array;
  /** The program's files by name; main.js is started. */
  readonly program: ReadonlyMap<string, string>;
};

/** The file's content; the same parts give the same bytes. */
export function selfExtractingFile({ version, commit, packedRuntime, program }: Parts): Uint8Array {
  // Packed in two pieces, which gzip and tar read as one archive.
  const entries = [...program].map(([name, data]) => tarEntry({ kind: "file", name, data }));
  const packedProgram = gzipSync(concat([...entries, new Uint8Array(1024)]), { level: 9 });
  const blanks: Readonly<Record<string, string>> = {
    "@VERSION@": version,
    "@COMMIT@": commit,
    "@ID@": createHash("sha256").update(packedRuntime).update(packedProgram).digest("hex").slice(0, 16),
    "@SIZE@": String(LAUNCHER_BYTES + packedRuntime.length + packedProgram.length),
    "@OFFSET@": String(LAUNCHER_BYTES),
    "@FILES@": [...program.keys()].join(" "),
  };
  const script = Deno.readTextFileSync(new URL("launcher.sh", import.meta.url));
  const launcher = new TextEncoder().encode(script.replace(/@[A-Z]+@/g, (blank) => blanks[blank] ?? blank));
  if (launcher.length > LAUNCHER_BYTES) {
    throw new Error(`the launcher has ${launcher.length} bytes, more than ${LAUNCHER_BYTES}`);
  }
  // The script's last line never returns: what follows it is not read as script.
  const padding = new Uint8Array(LAUNCHER_BYTES - launcher.length).fill("\n".charCodeAt(0));
  return concat([launcher, padding, packedRuntime, packedProgram]);
}

/** The runtime as the first piece of the packed archive. */
export function packRuntime(runtime: Uint8Array): Uint8Array {
  return gzipSync(tarEntry({ kind: "file", name: "deno", mode: 0o755, data: runtime }), { level: 6 });
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
