/**
 * How the journal's records lie in the sailor's store: key [kind, id], the version beside the record's own fields.
 * Journals of the first builds have no version, which is 1.
 */
import type { Migration } from "../core/migrate.ts";
import { newestVersion } from "../core/migrate.ts";
import type { RecordForm } from "../session/open_records.ts";

/** The first leads from version 1 to 2. */
const MIGRATIONS: readonly Migration[] = [];

export const JOURNAL_VERSION = newestVersion(MIGRATIONS);

const KINDS: ReadonlySet<string> = new Set(["membership", "document", "entry"]);

export const JOURNAL_RECORDS: RecordForm = {
  read({ key, value }) {
    const { v, ...record } = value as { v?: number };
    return { kind: String(key[0]), id: key[1] ?? "", version: v ?? 1, record };
  },
  write: ({ kind, id, version, record }) => ({
    kind: "put",
    key: id === "" ? [kind] : [kind, id],
    value: { ...record as object, v: version },
  }),
  knows: (kind) => KINDS.has(kind),
  migrations: MIGRATIONS,
};
