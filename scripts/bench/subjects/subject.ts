/**
 * What is measured: a proxy that is running, and how to get into it.
 */

import type { PemPair } from '../../../test/support/certificates.ts'
import type { Account } from '../jobs.ts'

export type SubjectName = 'sallyport' | 'nginx' | 'nginx~tuned' | 'dovecot'

export interface Subject extends AsyncDisposable {
  readonly name: SubjectName
  readonly workers: number
  readonly version: string
  readonly plainPort: number
  readonly tlsPort: number
  /** Where it takes submissions; null: it does not. */
  readonly smtpPorts: SmtpPorts | null
  /** Root of its process tree. */
  readonly pid: number
  /** A process that it needs and that is none of its own (nginx's responder): counted beside it. */
  readonly helperPid: number | null
  /** Accounts that every round uses again. */
  readonly accounts: readonly Account[]
  /** Hands out accounts that have never logged in, each once; null: the proxy knows no such difference. */
  freshAccounts: ((count: number) => readonly Account[]) | null
  /** Part of the tree that a process belongs to ('keeper'), for the breakdown. */
  roleOf(pid: number): string
  /** Counters of password checks, when it has some. */
  verifications: (() => Promise<Readonly<Record<string, number>>>) | null
}

export interface SmtpPorts {
  readonly plain: number
  readonly tls: number
}

/** What every subject is started with. */
export interface Setting {
  readonly directory: string
  readonly workers: number
  /** Port of the mail server behind. */
  readonly upstreamPort: number
  /** Port of the submission server behind; null: nothing is sent in this run, and nothing loaded for it. */
  readonly smtpUpstreamPort: number | null
  readonly tls: PemPair
  /** Sessions at once it must be able to hold. */
  readonly sessions: number
}

/** Why a peer is left out. */
export class Unavailable extends Error {}

export const USERS = 50
export const PASSWORD = 'abcd efgh ijkl mnop'
export const DOMAIN = 'example.org'

/** The accounts of a peer, all with one password. */
export const peerAccounts = (): readonly Account[] =>
  Array.from({ length: USERS }, (_, n) => [`user${n}@${DOMAIN}`, PASSWORD] as const)
