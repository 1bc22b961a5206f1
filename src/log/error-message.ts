/**
 * What was thrown, in its own words: for a log line's `detail` and for messages to operators. Whatever it was, it has some.
 */

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
