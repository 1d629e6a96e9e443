/** The services that one attempt binds: where they answer, as the deck said last, and the files that say it to the task. */
import type { BindingFiles } from "../contracts/binding_files.ts";
import type { RuntimeKind, ServiceBinding } from "../core/documents/task.ts";
import { RuntimeError } from "../contracts/runtime.ts";
import type { ServiceAddresses } from "./bindings.ts";
import { bindingTexts } from "./bindings.ts";

export class BoundServices {
  #services: ServiceAddresses | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(
    private readonly o: {
      readonly bind: readonly ServiceBinding[];
      readonly attemptId: string;
      readonly kind: RuntimeKind;
      /** Undefined: this sailor keeps no such files. */
      readonly files: BindingFiles | undefined;
      readonly services: ServiceAddresses | undefined;
    },
  ) {
    this.#services = o.services;
  }

  /** The deck has not said yet where they are. */
  get isWaiting(): boolean {
    return this.#services === undefined;
  }

  /** Answers whether anything is another now. Services that are not bound are passed over. */
  give(services: ServiceAddresses): boolean {
    const own = this.o.bind.map(({ service }) => service).filter((name) => Object.hasOwn(services, name));
    if (own.length === 0) return false;
    const next = { ...this.#services, ...Object.fromEntries(own.map((name) => [name, services[name]])) };
    if (this.#services && JSON.stringify(next) === JSON.stringify(this.#services)) return false;
    this.#services = next;
    return true;
  }

  /** What a container is made with, its files in place. Throws RuntimeError "invalid" where no files are kept. */
  async place(): Promise<{ readonly dir: string; readonly services: ServiceAddresses }> {
    if (!this.o.files) throw new RuntimeError("invalid", "this sailor keeps no files for `bind`");
    await this.write();
    return { dir: this.o.files.dirOf(this.o.attemptId), services: this.#services ?? {} };
  }

  /** One after the other, each with what is known then: the newest is the last. */
  write(): Promise<void> {
    const { bind, attemptId, kind, files } = this.o;
    const written = this.#writing.then(() => files?.write(attemptId, bindingTexts(bind, this.#services ?? {}, kind)));
    this.#writing = written.catch(() => {});
    return written;
  }
}
