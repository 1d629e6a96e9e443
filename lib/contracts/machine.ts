/** The machine that a sailor runs on. */
import type { Capacity, MachineStats } from "../core/mast.ts";

export interface Machine {
  /** Figures of now; `taskCount` is filled in by the caller. */
  stats(): Promise<MachineStats>;
  capacity(): Promise<Capacity>;
  hostname(): string;
}
