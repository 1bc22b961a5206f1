/** Runs `rounds` times, at most `width` at once. */
export async function inTurns(rounds: number, width: number, run: () => Promise<void>): Promise<void> {
  let left = rounds
  const lane = async (): Promise<void> => {
    while (left-- > 0) await run()
  }
  await Promise.all(Array.from({ length: width }, lane))
}
