/**
 * Which Ormen this is. `tools/build.ts` puts the commit in place of the mark below, in the bundle and not in this file;
 * from source the commit is "dev". VERSION is the one of deno.json (a test compares them).
 */
export const VERSION = "0.1.0";

const MARK = "@ormen-commit@";

/** The commit this was built from, twelve digits, "-dirty" added when the tree had changes; "unknown" outside git, "dev" from source. */
export const COMMIT: string = MARK.startsWith("@") ? "dev" : MARK;
