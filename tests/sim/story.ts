/** What happened, line by line: hashed always, kept when somebody wants to read it. */

export class Story {
  readonly lines: string[] = [];
  count = 0;
  #h1 = 0xdeadbeef;
  #h2 = 0x41c6ce57;

  constructor(readonly keep: boolean, readonly nowMs: () => number) {}

  tell(who: string, what: string): void {
    const line = `${(this.nowMs() / 1000).toFixed(3)} ${who} ${what}`;
    this.count++;
    // cyrb53, run on over all lines.
    for (let i = 0; i < line.length; i++) {
      const c = line.charCodeAt(i);
      this.#h1 = Math.imul(this.#h1 ^ c, 2654435761);
      this.#h2 = Math.imul(this.#h2 ^ c, 1597334677);
    }
    if (this.keep) this.lines.push(line);
  }

  get hash(): string {
    return (this.#h1 >>> 0).toString(16).padStart(8, "0") + (this.#h2 >>> 0).toString(16).padStart(8, "0");
  }

  /** The lines that speak of one of these; those of one moment that repeat each other once. */
  about(names: readonly string[]): string[] {
    const words = names.map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const concerns = new RegExp(`\\b(?:${words.join("|")})\\b`);
    return this.lines.filter((line, i) => concerns.test(line) && line !== this.lines[i - 1]);
  }
}
