/**
 * The demo speaks: lines, and steps that went well or did not.
 */

let failed = 0

/** How many steps did not go well. */
export const failures = (): number => failed

export function say(line = ''): void {
  console.log(line)
}

/** Runs one step, says how it went and what it noted. The rest goes on, so that one sees all that works. */
export async function step<T>(what: string, work: (note: (line: string) => void) => Promise<T>): Promise<T | null> {
  const notes: string[] = []
  try {
    const value = await work((line) => notes.push(line))
    say(`  \u2713 ${what}`)
    for (const note of notes) say(`      ${note}`)
    return value
  } catch (error) {
    failed += 1
    say(`  \u2717 ${what}`)
    say(`      ${error instanceof Error ? error.message : String(error)}`)
    return null
  }
}

export function must(condition: boolean, otherwise: string): void {
  if (!condition) throw new Error(otherwise)
}
