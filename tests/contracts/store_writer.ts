/** A child process that commits for ever and says which sequences were acknowledged; it is killed. */
import { openDenoKvStore } from "../../lib/adapters/deno_kv_store.ts";
import { createSystemClock } from "../../lib/adapters/system_clock.ts";
import { group, put } from "./store.contract.ts";

const store = await openDenoKvStore({ path: Deno.args[0], clock: createSystemClock() });
const term = await store.takeTerm();
const say = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(`${text}\n`));
for (let first = await store.lastSequence() + 1;; first += 30) {
  // Three commits at once, of ten groups each: a kill falls between writes and within them.
  await Promise.all([0, 10, 20].map(async (offset) => {
    const groups = Array.from({ length: 10 }, (_, i) => {
      const sequence = first + offset + i;
      return group(sequence, [put(["a", sequence], sequence), put(["b", sequence], sequence)]);
    });
    const outcome = await store.commit(groups, term);
    say(outcome.kind === "done" ? String(groups.at(-1)!.sequence) : outcome.kind);
  }));
}
