/**
 * What is wrong with a configuration, in words: where it stands, which key, and what to do about it.
 *
 * A message never repeats a value: the line that is wrong may be the one with a password on it.
 */

export interface ConfigProblem {
  /** The file, or 'environment' for an override; null when no file was found. */
  readonly file: string | null
  /** 1-based; null when the problem has no place in the file. */
  readonly line: number | null
  /** Dotted path ('upstreams.main.imap.port'), or the name of an environment variable; '' for the file as a whole. */
  readonly key: string
  /** Goes on from the key: 'must be true or false'. */
  readonly message: string
}

/** A configuration that can't be used. `problems` holds all that was found, in the order of the file. */
export class ConfigError extends Error {
  readonly code = 'ERR_CONFIG'
  readonly problems: readonly ConfigProblem[]
  /** A file could not be read for lack of permission: for the right user the configuration may be good. */
  readonly denied: boolean

  constructor(problems: readonly ConfigProblem[], denied = false) {
    super(problems.map(problemText).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
    this.denied = denied
  }
}

/** 'sallyport.yaml:12: upstreams.main.imap.port: must be a whole number between 1 and 65535' */
export function problemText({ file, line, key, message }: ConfigProblem): string {
  const place = file === null ? '' : line === null ? `${file}: ` : `${file}:${line}: `
  return `${place}${key === '' ? '' : `${key}: `}${message}`
}

/** Dotted path, list positions in brackets: `listeners[0].port`. */
export function keyText(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else text += text === '' ? shownKey(String(part)) : `.${shownKey(String(part))}`
  }
  return text
}

/** A key as it may be shown: one that does not look like a key may be a value that slipped. */
export function shownKey(key: string): string {
  return /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$/.test(key) ? key : '(a key that is no name)'
}

/** The candidate nearest to `word` when it is near enough to be a slip of the finger, else null. */
export function nearest(word: string, candidates: readonly string[]): string | null {
  const wanted = word.toLowerCase()
  let best: { readonly candidate: string; readonly distance: number } | null = null
  for (const candidate of candidates) {
    const known = candidate.toLowerCase()
    const distance = known.startsWith(wanted) && wanted.length >= 3 ? 1 : editDistance(wanted, known)
    if (best === null || distance < best.distance) best = { candidate, distance }
  }
  if (best === null) return null
  const tolerance = Math.max(2, Math.floor(Math.max(wanted.length, best.candidate.length) / 3))
  return best.distance <= tolerance ? best.candidate : null
}

/** Damerau's distance (optimal string alignment): insert, delete, replace, swap two neighbours. */
function editDistance(a: string, b: string): number {
  if (a.length > 64 || b.length > 64) return Number.POSITIVE_INFINITY
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    const above = rows[i - 1] ?? []
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1
      let cost = Math.min((above[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (above[j - 1] ?? 0) + same)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (rows[i - 2]?.[j - 2] ?? 0) + 1)
      }
      row.push(cost)
    }
    rows.push(row)
  }
  return rows[a.length]?.[b.length] ?? Number.POSITIVE_INFINITY
}
