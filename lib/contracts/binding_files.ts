/** Files on the sailor's machine that tell tasks where the services answer that they bind: a directory for each attempt. */
export interface BindingFiles {
  /** Absolute path of an attempt's directory, whether it is there yet or not. */
  dirOf(attemptId: string): string;
  /** Puts one file in place for each name; whoever reads one meets the old text or the new one, and never a part. */
  write(attemptId: string, files: Readonly<Record<string, string>>): Promise<void>;
  /** Of one that has none it does nothing. */
  remove(attemptId: string): Promise<void>;
}
