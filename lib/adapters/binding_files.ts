/** `BindingFiles` under a directory of the sailor's own. */
import { join } from "node:path";
import type { BindingFiles } from "../contracts/binding_files.ts";

/** Anybody in the container reads them, whoever it runs as. */
const DIR_MODE = 0o755;
const FILE_MODE = 0o644;

export function createBindingFiles(root: string): BindingFiles {
  const dirOf = (attemptId: string) => join(root, attemptId);
  let written = 0;
  return {
    dirOf,
    async write(attemptId, files) {
      const dir = dirOf(attemptId);
      await Deno.mkdir(dir, { recursive: true });
      // Past the umask: whoever runs in the container is somebody else here.
      await Deno.chmod(dir, DIR_MODE);
      for (const [name, text] of Object.entries(files)) {
        // Beside the directory: those who list it see the services alone.
        const fresh = join(root, `.${attemptId}.${++written}`);
        await Deno.writeTextFile(fresh, text);
        await Deno.chmod(fresh, FILE_MODE);
        await Deno.rename(fresh, join(dir, name));
      }
    },
    async remove(attemptId) {
      try {
        await Deno.remove(dirOf(attemptId), { recursive: true });
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    },
  };
}
