/** The document of the original's POST /tasks, as it was read. */

/** The original's event; zero values where nothing was sent. */
export interface SailEvent {
  /** Lower-case UUID; null: none, or the nil UUID. */
  readonly id: string | null;
  readonly state: number;
  readonly sail: OriginalSail;
}

export interface OriginalSail {
  readonly id: string | null;
  readonly name: string;
  readonly state: number;
  readonly image: string;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
  readonly exposedPorts: Readonly<Record<string, Record<string, never>>> | null;
  readonly portBindings: Readonly<Record<string, string>> | null;
  readonly restartPolicy: string;
  readonly healthCheck: string;
  /** Our additions, by their PascalCase names. */
  readonly additions: Readonly<Record<string, unknown>>;
}

/** Fields that the original does not have; each is the task document's key with a capital letter. */
export const ADDITIONS = [
  "Cmd",
  "Entrypoint",
  "Env",
  "Labels",
  "Constraints",
  "Volumes",
  "User",
  "Workdir",
  "Network",
  "Pull",
  "Runtime",
  "Grace",
  "StopSignal",
  "MaxRestarts",
  "Reschedule",
  "Files",
  "Health",
] as const;
