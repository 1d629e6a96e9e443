/** A child process that is killed while it handles an alarm, with another one that is not due yet. */
import { openDenoKvStore } from "../../lib/adapters/deno_kv_store.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { group } from "./store.contract.ts";

const store = await openDenoKvStore({ path: Deno.args[0], clock: createSystemClock() });
const term = await store.takeTerm();
store.onAlarm((topic) => {
  console.log(`in the handler of ${topic}`);
  return new Promise(() => {});
});
const alarms = [{ topic: "cut-off", delayMs: 0 }, { topic: "later", delayMs: 1_500 }];
await store.commit([{ ...group(1, []), alarms }], term);
setInterval(() => {}, 60_000);
