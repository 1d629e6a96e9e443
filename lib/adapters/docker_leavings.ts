/**
 * What a step of a workflow needs of its container besides a task: the file with its script and the one behind
 * ORMEN_OUTPUT, both placed before the start through the Engine's archive call, and the second one read by it afterwards.
 * What is mounted over them would hide them: such a task is refused before a container is made.
 */
import type Docker from "dockerode";
import type { Readable } from "node:stream";
import type { ContainerSpec } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { FileSpec } from "../core/documents/task.ts";
import { dialStream } from "./docker_stream.ts";
import { OUTPUT_PATH, runtimeError, SCRIPT_PATH, statusCodeOf, wordsOf } from "./docker_translate.ts";
import { firstOfTar } from "./tar.ts";

/** All that is placed before the first start. */
export function filesToPlace({ files, script, outputFile }: ContainerSpec): FileSpec[] {
  return [
    ...files,
    ...(script ? [{ path: SCRIPT_PATH, content: script.text, mode: 0o555 }] : []),
    // Whoever the image says may write to it.
    ...(outputFile ? [{ path: OUTPUT_PATH, content: "", mode: 0o666 }] : []),
  ];
}

/** Null: there is no such file. Throws "missing" when there is no such container, "failed" when it cannot be read as a text. */
export async function readOutput(
  docker: Docker,
  name: string,
  bytesMax: number,
  signal: AbortSignal,
): Promise<string | null> {
  let stream: Readable;
  try {
    stream = await dialStream(docker, `/containers/${encodeURIComponent(name)}/archive`, { path: OUTPUT_PATH }, signal);
  } catch (error) {
    // The client says "no such container" of any 404; the Engine's own words name it after a colon.
    if (statusCodeOf(error) === 404 && !/no such container:/i.test(wordsOf(error))) return null;
    throw runtimeError(error, "other");
  }
  const abort = () => stream.destroy(new Error("the Engine took too long"));
  signal.addEventListener("abort", abort);
  try {
    const entry = await firstOfTar(stream as AsyncIterable<Uint8Array>, bytesMax);
    if (entry.kind === "file") return new TextDecoder().decode(entry.data);
    throw new RuntimeError("failed", describe(entry, bytesMax));
  } catch (error) {
    throw runtimeError(error, "other");
  } finally {
    signal.removeEventListener("abort", abort);
    stream.destroy();
  }
}

function describe(entry: { readonly kind: "other" | "large" }, bytesMax: number): string {
  switch (entry.kind) {
    case "other":
      return `${OUTPUT_PATH} is no plain file any more`;
    case "large":
      return `${OUTPUT_PATH} holds more than ${bytesMax / 1024} KiB`;
    default:
      return entry.kind satisfies never;
  }
}
