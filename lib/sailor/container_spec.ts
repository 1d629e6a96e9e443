/** The container of an attempt: what its document says, under names and labels by which it is found again. */
import type { ContainerSpec } from "../contracts/runtime.ts";
import { LABEL_ATTEMPT, LABEL_NAME, LABEL_OWNER, LABEL_SAIL } from "../contracts/runtime.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { FileSpec, TaskSpec } from "../core/documents/task.ts";
import type { ServiceAddresses } from "./bindings.ts";
import { bindingVariables } from "./bindings.ts";
import type { Entry } from "./journal.ts";

/**
 * The runtime adds its node's label. Ours stand last: users' labels do not override them. Throws RuntimeError "invalid" when
 * a secret has no value.
 */
export function containerSpec(
  name: string,
  entry: Entry,
  spec: TaskSpec,
  secrets: Readonly<Record<string, string>> = {},
  bound?: { readonly dir: string; readonly services: ServiceAddresses },
): ContainerSpec {
  const handed = handedOver(spec, secrets);
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
    env: {
      ...spec.env,
      ...bound ? bindingVariables(spec.bind ?? [], bound.services, spec.runtime) : {},
      ...handed.env,
    },
    cpuCores: spec.cpuCores,
    memoryBytes: spec.memoryBytes,
    ports: spec.ports,
    volumes: spec.volumes,
    restart: spec.restart,
    stopSignal: spec.stopSignal,
    user: spec.user,
    workdir: spec.workdir,
    network: spec.network,
    files: [...spec.files, ...handed.files],
    ...(spec.step?.script ? { script: spec.step.script } : {}),
    ...(spec.step?.capture ? { outputFile: true } : {}),
    ...(bound ? { servicesDir: bound.dir } : {}),
    ...(spec.http ? { http: spec.http } : {}),
  };
}

/** Read by whoever the container runs as, which need not be root; nobody else is in there. */
const SECRET_MODE = 0o444;

function handedOver(spec: TaskSpec, secrets: Readonly<Record<string, string>>) {
  const env: Record<string, string> = {};
  const files: FileSpec[] = [];
  for (const { name, file } of spec.secrets ?? []) {
    if (!Object.hasOwn(secrets, name)) {
      throw new RuntimeError(
        "invalid",
        `the deck gave no value for the secret ${name}; set it with  ormen secret set ${name}`,
      );
    }
    if (file === null) env[name] = secrets[name];
    else files.push({ path: file, content: secrets[name], mode: SECRET_MODE });
  }
  return { env, files };
}
