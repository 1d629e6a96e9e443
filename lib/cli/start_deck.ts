/** Wires a deck from its options: store, clock, sockets and listener. */
import { join } from "node:path";
import { cronProblem, nextSlotMs } from "../adapters/cron.ts";
import { openDataDir } from "../adapters/data_dir.ts";
import { openDenoKvStore } from "../adapters/deno_kv_store.ts";
import { createLogger } from "../adapters/log_sink.ts";
import { openMemoryStore } from "../adapters/memory_store.ts";
import { verifyEd25519 } from "../adapters/node_keys.ts";
import { createSecretBox } from "../adapters/secret_box.ts";
import { createSystemClock } from "../adapters/system_clock.ts";
import { createSystemRandom } from "../adapters/system_random.ts";
import { createDialer } from "../adapters/web_socket_link.ts";
import type { Clock } from "../contracts/clock.ts";
import type { Logger } from "../contracts/logger.ts";
import { createDeck } from "../deck/deck.ts";
import { createDeckApp } from "../http/deck_app.ts";
import { FRAME_BYTES_MAX } from "../messages/session.ts";
import { COMMIT, VERSION } from "../version.ts";
import type { DeckOptions, Running } from "./options.ts";
import { dialerWithTokens, listen, operatorTokens, upgrade } from "./serve.ts";
import { currentTokens } from "./token_file.ts";
import { keepBeforeMigration, refuseUnfinishedRestore, STORE_FILE } from "./store_files.ts";

/** Events outnumber tasks: each has about six. */
const EVENTS_PER_TASK = 6;

/** A deck starts no programs and loads no libraries, and from here on it cannot, whoever comes to speak for it. */
export async function giveUpRights(): Promise<void> {
  await Deno.permissions.revoke({ name: "run" });
  await Deno.permissions.revoke({ name: "ffi" });
}

export async function startDeck(options: DeckOptions): Promise<Running> {
  const clock = createSystemClock();
  const logger = await createLogger({ name: "deck", level: "info", format: options.logFormat });
  const persistent = options.dbType === "persistent";
  const dataDir = persistent ? await openDataDir(options.dataDir, "deck") : undefined;
  const finished = Promise.withResolvers<void>();
  try {
    if (dataDir) await refuseUnfinishedRestore(dataDir.path);
    const store = dataDir
      ? await openDenoKvStore({ path: join(dataDir.path, STORE_FILE), clock, logger })
      : openMemoryStore({ clock });
    const deck = await createDeck({
      clock,
      random: createSystemRandom(),
      logger,
      store,
      dialer: dialerWithTokens(createDialer(FRAME_BYTES_MAX, options.caCerts), workerTokens(options, logger, clock)),
      verify: verifyEd25519,
      secretBox: createSecretBox(dataDir?.path),
      cron: { problem: cronProblem, nextMs: nextSlotMs },
      workers: options.workers.map(({ address, tls }) => ({ address, tls })),
      settings: {
        version: VERSION,
        scheduler: options.scheduler,
        heartbeatMs: options.heartbeatMs,
        nodeTimeoutMs: options.nodeTimeoutMs,
        keepEndedMs: options.keepForMs,
        keepEndedMax: options.keepTasks,
        keepEventsMax: EVENTS_PER_TASK * options.keepTasks,
      },
      commit: COMMIT,
      ...(dataDir ? { keepBackup: (backup) => keepBeforeMigration(dataDir.path, "deck", backup, logger) } : {}),
      onFenced: () => finished.reject(new Error("another deck has taken over this data; this one has ended")),
    });
    const app = createDeckApp({
      deck: deck.api,
      clock,
      logger,
      auth: { token: operatorTokens(options, logger, clock), listenHost: options.host },
      version: VERSION,
      upgrade,
    });
    const listening = await listen(options, app).catch(async (error) => {
      await deck.stop();
      throw error;
    });
    return {
      url: listening.url,
      about: `${dataDir ? `data in ${dataDir.path}` : "data in memory"}, term ${deck.term}`,
      finished: finished.promise,
      async stop() {
        await deck.stop();
        await listening.close();
        dataDir?.release();
        finished.resolve();
      },
    };
  } catch (error) {
    dataDir?.release();
    throw error;
  }
}

/** By the host of the dialled URL. */
function workerTokens(options: DeckOptions, logger: Logger, clock: Clock): (host: string) => string | undefined {
  const tokens = new Map(
    options.workers.flatMap(({ address, token }) =>
      token === null ? [] : [[address, currentTokens(token, logger, () => clock.monoMs())] as const]
    ),
  );
  return (host) => tokens.get(host)?.()[0];
}
