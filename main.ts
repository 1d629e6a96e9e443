/** Ormen: one program for deck, sailor and client. */
import { main } from "./lib/cli/main.ts";

Deno.exitCode = await main(Deno.args);
// A process ends by itself when nothing is open any more. What a failed start left open must not keep it for ever.
const LEFTOVERS_MS = 2000;
Deno.unrefTimer(setTimeout(() => Deno.exit(), LEFTOVERS_MS));
