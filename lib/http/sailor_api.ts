/**
 * What a sailor offers to its own listener. Tasks that come in here belong to `local`: no deck knows or stops them; tasks of
 * a deck are shown, and not stopped here.
 */
import type { MachineStats } from "../core/mast.ts";
import type { Link } from "../contracts/link.ts";
import type { LocalStopReply, LocalSubmitReply, LocalTask, SailorTask } from "../sailor/sailor.ts";

export type { LocalStopReply, LocalSubmitReply, LocalTask, SailorTask };

export interface SailorApi {
  /** Resolves once it is journalled. */
  localSubmit(task: LocalTask): Promise<LocalSubmitReply>;
  localStop(taskId: string): Promise<LocalStopReply>;
  tasks(): Iterable<SailorTask>;
  /** The Engine's inspect document of a task's container; undefined when there is none. */
  inspectRaw(taskId: string): Promise<unknown | undefined>;
  stats(): Promise<MachineStats>;
  /** A deck dialled in. */
  acceptSession(link: Link, remoteIp: string): void;
  acceptStreams(link: Link): void;
  /** Null: ready; else why not. */
  notReady(): string | null;
}
