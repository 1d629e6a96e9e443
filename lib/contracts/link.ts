/**
 * A two-way, ordered message pipe between a deck and a sailor. Knows nothing of what the messages mean.
 * After `onClose` was called nothing more arrives and `send` does nothing.
 */
export interface Link {
  /** Sends one frame; text for JSON, bytes for streams. */
  send(frame: string | Uint8Array): void;
  /** Bytes accepted by `send` that have not left yet. */
  buffered(): number;
  /** Exactly one of each; frames that came earlier are kept until they are set. */
  onFrame(handler: (frame: string | Uint8Array) => void): void;
  onClose(handler: (reason: string) => void): void;
  close(reason: string): void;
}

/** Opens links to others. Rejects with a sentence when nobody answers. */
export interface Dialer {
  dial(url: string, options: { readonly token?: string; readonly signal?: AbortSignal }): Promise<Link>;
}
