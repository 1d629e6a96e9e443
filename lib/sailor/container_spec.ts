/** The container of an attempt: what its document says, under names and labels by which it is found again. */
import type { ContainerSpec } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NAME, LABEL_OWNER, LABEL_SAIL } from "../contracts/runtime.ts";
import type { TaskSpec } from "../core/documents/task.ts";
import type { Entry } from "./journal.ts";

/** The runtime adds its node's label. Ours stand last: users' labels do not override them. */
export function containerSpec(name: string, entry: Entry, spec: TaskSpec): ContainerSpec {
  return {
    name,
    labels: {
      ...spec.labels,
      [LABEL_OWNER]: entry.owner,
      [LABEL_SAIL]: entry.sailId,
      [LABEL_ATTEMPT]: entry.attemptId,
      [LABEL_NAME]: spec.name,
    },
    image: spec.image,
    entrypoint: spec.entrypoint,
    cmd: spec.cmd,
    env: spec.env,
    cpuCores: spec.cpuCores,
    memoryBytes: spec.memoryBytes,
    ports: spec.ports,
    volumes: spec.volumes,
    restart: spec.restart,
    stopSignal: spec.stopSignal,
    user: spec.user,
    workdir: spec.workdir,
    network: spec.network,
    files: spec.files,
    ...(spec.step?.script ? { script: spec.step.script } : {}),
    ...(spec.step?.capture ? { outputFile: true } : {}),
    ...(spec.http ? { http: spec.http } : {}),
  };
}
