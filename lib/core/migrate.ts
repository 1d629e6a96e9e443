/**
 * Bringing stored records forward, one version after the other. Owns the order of the steps and what is refused; the
 * steps themselves are tables of those whose records they are.
 */

export interface VersionedRecord {
  readonly kind: string;
  readonly id: string | number;
  readonly version: number;
  readonly record: unknown;
}

/** From its version to the next. Pure, and a kind that it does not concern is given back as it is. */
export type Migration = (record: Pick<VersionedRecord, "kind" | "id" | "record">) => unknown;

/** The version that records have once all of `migrations` are done: the first one leads from 1 to 2. */
export function newestVersion(migrations: readonly Migration[]): number {
  return migrations.length + 1;
}

/** A sentence when it was written by a newer program, whose meaning this one cannot know. */
export function refusalOf({ kind, version }: VersionedRecord, migrations: readonly Migration[]): string | undefined {
  const newest = newestVersion(migrations);
  if (version <= newest) return undefined;
  return `the store holds a ${kind} of version ${version}; this ormen reads up to ${newest}: use a newer one`;
}

/** The same record when it is of the newest version already. Must not be given what `refusalOf` refuses. */
export function migrateRecord(given: VersionedRecord, migrations: readonly Migration[]): VersionedRecord {
  const newest = newestVersion(migrations);
  if (given.version === newest) return given;
  let { record } = given;
  for (const migration of migrations.slice(given.version - 1)) record = migration({ ...given, record });
  return { ...given, version: newest, record };
}
