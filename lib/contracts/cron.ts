/** When schedules fall due, passed in: calendars and time zones are no business of decisions. */
export interface Cron {
  /** Why it is no cron expression or no time zone; undefined: it is. */
  problem(expression: string, timezone: string): string | undefined;
  /** The first slot after `afterMs`, wall time in milliseconds; null: there is none any more. */
  nextMs(expression: string, timezone: string, afterMs: number): number | null;
}
