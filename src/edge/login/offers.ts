/**
 * What all upstreams of a protocol offer: for protocols whose clients ask before the login and remember the answer.
 *
 * Before a login nobody knows which upstream it will be, nor which of its hosts, so only what every one of them keeps may be
 * announced: each host counts for itself. Lists are lines: a keyword, perhaps with parameters. They are learnt at each login
 * and by asking at start; a host that can't be reached doesn't count, and as long as there is one that nobody has tried yet,
 * nothing is known.
 */

import type { Endpoint } from '../../contract/admission.ts'

/**
 * Two servers' parameters of one keyword → what both keep; null: they have the keyword not in common.
 *
 * @param keyword in upper case
 */
export type MergeParameters = (
  keyword: string,
  one: readonly string[],
  other: readonly string[],
) => readonly string[] | null

/** One host of one upstream. */
export type HostKey = string

/** @param upstream its name in the configuration */
export function hostKey(upstream: string, { host, port }: Endpoint): HostKey {
  return `${upstream} ${host}:${port}`
}

export interface Offers {
  /** Which hosts there are. Of those that were there before, what is known stays. */
  expect(hosts: readonly HostKey[]): void
  /** What a host announces. Unknown hosts are ignored. */
  learn(host: HostKey, lines: readonly string[]): void
  /** It did not answer when it was asked; what it announced before still counts. */
  missed(host: HostKey): void
  /** Hosts that announced nothing so far. */
  unknown(): readonly HostKey[]
  /** The lines that all have in common, in the order of the first; null while nothing is known. */
  common(): readonly string[] | null
}

type Keywords = ReadonlyMap<string, readonly string[]>

/** What a host said, and what that means: it says the same at every login. */
interface Known {
  readonly text: string
  readonly keywords: Keywords
}

/** @param merge by default parameters that both name, and the bare keyword when they share none */
export function createOffers(merge: MergeParameters = commonWords): Offers {
  /** null: not reachable; undefined: not tried. */
  const known = new Map<HostKey, Known | null | undefined>()
  let common: readonly string[] | null = null

  function compute(): void {
    common = null
    if ([...known.values()].includes(undefined)) return
    const [first, ...others] = [...known.values()].flatMap((each) => each?.keywords ?? [])
    if (first === undefined) return
    common = [...first].flatMap(([keyword, parameters]) => {
      let words: readonly string[] | null = parameters
      for (const other of others) {
        const theirs = other.get(keyword)
        words = theirs === undefined || words === null ? null : merge(keyword, words, theirs)
      }
      return words === null ? [] : [[keyword, ...words].join(' ')]
    })
  }

  return {
    expect(hosts) {
      for (const host of known.keys()) if (!hosts.includes(host)) known.delete(host)
      for (const host of hosts) if (!known.has(host)) known.set(host, undefined)
      compute()
    },
    learn(host, lines) {
      if (!known.has(host)) return
      const text = lines.join('\n')
      if (known.get(host)?.text === text) return
      known.set(host, { text, keywords: keywordsIn(lines) })
      compute()
    },
    missed(host) {
      if (!known.has(host) || known.get(host)) return
      known.set(host, null)
      compute()
    },
    unknown: () => [...known].filter(([, each]) => each == null).map(([host]) => host),
    common: () => common,
  }
}

function commonWords(_keyword: string, one: readonly string[], other: readonly string[]): readonly string[] {
  const theirs = new Set(other.map((word) => word.toUpperCase()))
  return one.filter((word) => theirs.has(word.toUpperCase()))
}

function keywordsIn(lines: readonly string[]): Keywords {
  const keywords = new Map<string, readonly string[]>()
  for (const line of lines) {
    const [name = '', ...words] = line.split(' ').filter((word) => word !== '')
    const keyword = name.toUpperCase()
    if (keyword !== '') keywords.set(keyword, [...(keywords.get(keyword) ?? []), ...words])
  }
  return keywords
}
