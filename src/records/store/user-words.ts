/**
 * Finding users by what somebody remembers of them: the beginning of an address, or of any word of a name.
 *
 * Words are kept in a table of their own, so that a search reads an index and as many rows as it answers. They are folded:
 * no case, no accents ("muller" finds Müller). A search names several words when it wants all of them.
 */

import { setImmediate } from 'node:timers/promises'
import { sql } from 'kysely'
import { userRow } from './schema.ts'
import type { Db } from './sql-transaction.ts'
import type { Page, UserRow } from './store.ts'

/** More of them would make a search no sharper. */
const MAX_SEARCH_WORDS = 4
/** A name has 128 characters and an address 64 before the @: no user has more words than this. */
const MAX_WORDS = 128
const MAX_WORD = 254
/** Above every word that begins with what stands before it. */
const LAST = '\u{10ffff}'

/** Looked through in one turn of the event loop: some 2 ms. */
const WORDS_A_TURN = 2000

export interface UserSearch {
  /** Users for whom each of the words is the beginning of one of theirs, ordered by address. No word: nobody. */
  searchUsers(words: readonly string[], page: Page): Promise<readonly UserRow[]>
  /** Whether anybody else is an administrator who can sign in. */
  administratorBesides(userId: string): Promise<boolean>
}

/** What a user is found by: the address whole, the parts before its @, and the words of the name. */
export function wordsOf(address: string, name: string | null): readonly string[] {
  const localPart = address.slice(0, address.lastIndexOf('@'))
  return [...new Set([address, ...split(localPart), ...split(name ?? '')])].slice(0, MAX_WORDS)
}

/** The words of a search as somebody typed it. One with an @ is the beginning of an address. */
export function searchWords(typed: string): readonly string[] {
  const words = typed
    .split(/\s+/u)
    .flatMap((word) => (word.includes('@') ? [word.toLowerCase().slice(0, MAX_WORD)] : split(word)))
  return [...new Set(words)].sort((a, b) => b.length - a.length).slice(0, MAX_SEARCH_WORDS)
}

function split(text: string): readonly string[] {
  const folded = text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()
  const words = folded.split(/[^\p{L}\p{N}]+/u).filter((word) => word !== '')
  return words.map((word) => word.slice(0, MAX_WORD))
}

/**
 * Words that many have are looked through in pieces, with a turn of the event loop between two (not inside a transaction, which
 * must not wait): of each the lowest addresses, and of those the lowest of all.
 */
export async function searchUsers(db: Db, words: readonly string[], page: Page): Promise<readonly UserRow[]> {
  const [first, ...others] = words
  if (first === undefined) return []
  let addresses: readonly string[] = []
  for (let [begin, end]: [Word, Word | null] = [{ word: first, address: '' }, null]; ; begin = end) {
    end = await endOfPiece(db, first, begin)
    const found = await addressesIn(db, { begin, end: end ?? { word: first + LAST, address: '' } }, others, page)
    // In the order of the store: addresses are ASCII.
    addresses = [...new Set([...addresses, ...found])].sort().slice(0, page.limit)
    if (end === null) break
    if (!db.isTransaction) await setImmediate()
  }
  const [any] = addresses
  if (any === undefined) return []
  // As many parameters whatever was found: each number of them would be a statement of its own.
  const wanted = Array.from({ length: page.limit }, (_, n) => addresses[n] ?? any)
  const rows = await db.selectFrom('users').selectAll().where('address', 'in', wanted).orderBy('address').execute()
  return rows.map(userRow)
}

/** A row of `user_words`, or a place between two, in the order of their key. */
interface Word {
  readonly word: string
  readonly address: string
}

/** The last word of the piece that follows `begin`; null: there is no full piece of words that begin with `first`. */
async function endOfPiece(db: Db, first: string, begin: Word): Promise<Word | null> {
  const end = await db
    .selectFrom('user_words')
    .select(['word', 'address'])
    .where(sql<boolean>`(word, address) > (${begin.word}, ${begin.address})`)
    .where('word', '<', first + LAST)
    .orderBy('word')
    .orderBy('address')
    .offset(WORDS_A_TURN - 1)
    .limit(1)
    .executeTakeFirst()
  return end ?? null
}

/** The lowest addresses of a page that have a word behind `begin` and up to `end`, and one that begins with each of `others`. */
async function addressesIn(
  db: Db,
  { begin, end }: { readonly begin: Word; readonly end: Word },
  others: readonly string[],
  page: Page,
): Promise<readonly string[]> {
  let found = db
    .selectFrom('user_words as first')
    .select('first.address')
    .distinct()
    .where(sql<boolean>`(first.word, first.address) > (${begin.word}, ${begin.address})`)
    .where(sql<boolean>`(first.word, first.address) <= (${end.word}, ${end.address})`)
    .where('first.address', '>', page.after ?? '')
  for (const word of others) {
    found = found.where(({ exists, selectFrom }) =>
      exists(
        selectFrom('user_words as other')
          .select(sql`1`.as('one'))
          .whereRef('other.address', '=', 'first.address')
          .where('other.word', '>=', word)
          .where('other.word', '<', word + LAST),
      ),
    )
  }
  const rows = await found.orderBy('first.address').limit(page.limit).execute()
  return rows.map(({ address }) => address)
}

export async function administratorBesides(db: Db, userId: string): Promise<boolean> {
  const other = await db
    .selectFrom('users')
    .select('id')
    .where(sql<boolean>`admin = 1`) // as the partial index that serves it says
    .where('enabled', '=', 1)
    .where('id', '!=', userId)
    .limit(1)
    .executeTakeFirst()
  return other !== undefined
}

/** Keeps the words of a user as they should be; a deleted user's go with the row. */
export async function noteUserWords(db: Db, user: UserRow): Promise<void> {
  await db.deleteFrom('user_words').where('address', '=', user.address).execute()
  const rows = wordsOf(user.address, user.name).map((word) => ({ word, address: user.address }))
  await db.insertInto('user_words').values(rows).execute()
}
