/** Wires a sailor from its options: runtimes, journal, sockets and listener. */
import { join } from "node:path";
import { createBindingFiles } from "../adapters/binding_files.ts";
import { openDataDir } from "../adapters/data_dir.ts";
import { openDenoKvStore } from "../adapters/deno_kv_store.ts";
import { loadIdentity } from "../adapters/identity.ts";
import { createLogger } from "../adapters/log_sink.ts";
import { createMachine } from "../adapters/machine.ts";
import { openMemoryStore } from "../adapters/memory_store.ts";
import { createProber } from "../adapters/prober.ts";
import { realPathOf } from "../adapters/real_path.ts";
import { createSystemClock } from "../adapters/system_clock.ts";
import { createSystemRandom } from "../adapters/system_random.ts";
import { createDialer } from "../adapters/web_socket_link.ts";
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import type { Runtime } from "../contracts/runtime.ts";
import { ENGINE_SOCKETS } from "../core/bounds.ts";
import { createSailorApp } from "../http/sailor_app.ts";
import { FRAME_BYTES_MAX } from "../messages/session.ts";
import type { Ground } from "../sailor/sailor.ts";
import { createSailor } from "../sailor/sailor.ts";
import { VERSION } from "../version.ts";
import { CommandFailure } from "./failure.ts";
import { isLoopback } from "./options.ts";
import type { Running, SailorOptions } from "./options.ts";
import { dialerWithTokens, listen, operatorTokens, upgrade } from "./serve.ts";
import { currentTokens } from "./token_file.ts";
import { keepBeforeMigration } from "./store_files.ts";

export async function startSailor(options: SailorOptions): Promise<Running> {
  const clock = createSystemClock();
  const random = createSystemRandom();
  const logger = await createLogger({ name: "sailor", level: "info", format: options.logFormat });
  const ground = await groundOf(options);
  // The identity and what processes leave behind need a place even when the journal is in memory.
  const dataDir = await openDataDir(options.dataDir, "sailor");
  try {
    const machine = createMachine();
    const identity = await loadIdentity(dataDir.path, {
      random,
      defaultName: machine.hostname(),
      ...(options.name === null ? {} : { name: options.name }),
    });
    const runtimes: Runtime[] = [];
    for (const kind of options.runtimes) {
      runtimes.push(
        await openRuntime(kind, { options, nodeId: identity.nodeId, dataDir: dataDir.path, clock, logger }),
      );
    }
    if (options.http) {
      const { createHttpRuntime } = await import("../adapters/http_runtime.ts");
      runtimes.push(createHttpRuntime({ nodeId: identity.nodeId, clock, caCerts: options.caCerts }));
    }
    const store = options.dbType === "persistent"
      ? await openDenoKvStore({ path: join(dataDir.path, "journal.kv"), clock, logger })
      : openMemoryStore({ clock });
    const host = options.advertiseHost ?? (isLoopback(options.host) ? null : machine.hostname());
    const sailor = await createSailor({
      clock,
      random,
      logger,
      store,
      runtimes,
      prober: createProber(),
      machine,
      identity,
      version: VERSION,
      labels: options.labels,
      reserve: { cpuCores: options.reserveCpuCores, memoryBytes: options.reserveMemoryBytes },
      address: host === null ? null : `${host}:${options.port}`,
      adopt: options.adopt,
      ground,
      bindings: createBindingFiles(join(dataDir.path, "bindings")),
      keepBackup: (backup) => keepBeforeMigration(dataDir.path, "sailor", backup, logger),
    });
    const app = createSailorApp({
      sailor,
      clock,
      logger,
      auth: {
        token: operatorTokens(options, logger, clock),
        listenHost: options.host,
        ...(options.advertiseHost === null ? {} : { advertiseHosts: [options.advertiseHost] }),
      },
      version: VERSION,
      upgrade,
    });
    const listening = await listen(options, app).catch(async (error) => {
      await sailor.stop();
      throw error;
    });
    if (options.join !== null) {
      const token = options.joinToken === null
        ? undefined
        : currentTokens(options.joinToken, logger, () => clock.monoMs());
      sailor.join(dialerWithTokens(createDialer(FRAME_BYTES_MAX, options.caCerts), () => token?.()[0]), options.join);
    }
    const finished = Promise.withResolvers<void>();
    return {
      url: listening.url,
      about: `${identity.name}, data in ${dataDir.path}`,
      finished: finished.promise,
      async stop() {
        await sailor.stop();
        await listening.close();
        dataDir.release();
        finished.resolve();
      },
    };
  } catch (error) {
    dataDir.release();
    throw error;
  }
}

/** Paths that are allowed are resolved now: a link that is turned later does not move the bounds. */
async function groundOf(
  { allowBinds, allowHostNetwork }: Pick<SailorOptions, "allowBinds" | "allowHostNetwork">,
): Promise<Ground> {
  const host = Deno.env.get("DOCKER_HOST") || "";
  const isElsewhere = host !== "" && !host.startsWith("unix://");
  if (isElsewhere && allowBinds.length > 0) {
    throw new CommandFailure(
      `--allow-binds cannot be kept: the Engine at ${host} may be on another machine, whose links this sailor does not see`,
      ["start the sailor on the Engine's machine, with DOCKER_HOST=unix:///var/run/docker.sock"],
    );
  }
  const real = await Promise.all(allowBinds.map((path) =>
    realPathOf(path).catch((error: Error) => {
      throw new CommandFailure(`--allow-binds ${path}: ${error.message}`);
    })
  ));
  return {
    bounds: { binds: [...new Set([...allowBinds, ...real])], hostNetwork: allowHostNetwork },
    sockets: [...ENGINE_SOCKETS, ...host.startsWith("unix://") ? [host.slice("unix://".length)] : []],
    realPathOf,
  };
}

/** Imported where it is used: the Engine's client takes a fifth of a second to load. */
async function openRuntime(
  kind: "docker" | "process",
  { options, nodeId, dataDir, clock, logger }: {
    options: SailorOptions;
    nodeId: string;
    dataDir: string;
    clock: Clock;
    logger: Logger;
  },
): Promise<Runtime> {
  if (kind === "docker") {
    const { createDockerRuntime } = await import("../adapters/docker_runtime.ts");
    return createDockerRuntime({
      nodeId,
      clock,
      ...(options.registryAuthFile === null ? {} : { registryAuthFile: options.registryAuthFile }),
    });
  }
  const { createProcessRuntime } = await import("../adapters/process_runtime.ts");
  return await createProcessRuntime({ stateDir: join(dataDir, "processes"), nodeId, clock, logger });
}
