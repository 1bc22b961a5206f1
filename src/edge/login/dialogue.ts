/**
 * What the dialogues with clients share, whatever the protocol: their options, how much they put up with, and what they say
 * to those whom they don't.
 */

import type { Peer, ProtocolName } from '../../contract/admission.ts'
import type { LoginFailure } from '../../contract/failure.ts'
import type { NameRules } from '../../contract/names.ts'
import type { Log } from '../../log.ts'
import type { Metrics } from '../../metrics.ts'
import type { NoRoom } from '../net/room.ts'
import type { ServerTls, WireErrorCode } from '../net/wire.ts'
import type { SaslRefusal } from './sasl.ts'
import type { Audience } from './words.ts'

/** What a listener tells its protocol. */
export interface DialogueOptions extends Audience {
  readonly nameRules: NameRules
  /** What STARTTLS needs; null: it is not offered. */
  readonly startTls: ServerTls | null
  /** Refuse logins on a connection without TLS (RFC 8314 §4.1). */
  readonly needsTls: boolean
  /** Refused logins that end a connection. Default 5. */
  readonly maxRefusals?: number
  /** Commands that are unknown or make no sense that end a connection. Default 3. */
  readonly maxErrors?: number
  /** The listener's name, for the log. */
  readonly listener: string
  readonly log: Log
  readonly metrics: Metrics
}

/** The user's own language where the keeper says it, otherwise that of the house. */
export function audienceOf({ language, portalUrl }: Audience, why: LoginFailure): Audience {
  return { language: why.language ?? language, portalUrl }
}

const DEFAULT_MAX_REFUSALS = 5
const DEFAULT_MAX_ERRORS = 3

/** How much more a connection may do wrong. */
export class Patience {
  #refusals: number
  #errors: number

  constructor(options: Pick<DialogueOptions, 'maxRefusals' | 'maxErrors'>) {
    this.#refusals = options.maxRefusals ?? DEFAULT_MAX_REFUSALS
    this.#errors = options.maxErrors ?? DEFAULT_MAX_ERRORS
  }

  /** A login was refused. Whether that was the last one. */
  endsWithRefusal(): boolean {
    this.#refusals -= 1
    return this.#refusals <= 0
  }

  /** A command was unknown or made no sense, which is no guess (threats A12). Whether that was the last one. */
  endsWithError(): boolean {
    this.#errors -= 1
    return this.#errors <= 0
  }
}

/** What a client hears who has used up its patience. */
export const TOO_MANY_REFUSALS = 'Too many refused logins.'
export const TOO_MANY_ERRORS = 'Too many errors.'

/** What a client hears whose connection breaks a limit; null: there is nobody to hear it, or no way to say it. */
export const LAST_WORDS: Readonly<Record<WireErrorCode, string | null>> = {
  ERR_WIRE_LINE_TOO_LONG: 'Line too long.',
  ERR_WIRE_BUDGET: 'Too much was sent before a login.',
  ERR_WIRE_DEADLINE: 'No login in time.',
  ERR_WIRE_GOING_DOWN: 'The server is going down.',
  // It has been told by then, with the words below.
  ERR_WIRE_DISMISSED: null,
  ERR_WIRE_RESET: null,
  ERR_WIRE_INJECTED: null,
  ERR_WIRE_TLS: null,
}

/** What a client hears for whom there is no room. */
export const NO_ROOM: Readonly<Record<NoRoom, string>> = {
  connections: 'The server is full, please try again later.',
  perAddress: 'Too many connections from your address, please try again later.',
}

/** What a client hears whose SASL exchange made no sense. */
export const SASL_ERRORS: Readonly<Record<SaslRefusal | 'cancelled' | 'unsupported', string>> = {
  cancelled: 'Cancelled.',
  unsupported: 'This mechanism is not supported.',
  'too-long': 'This is too long.',
  base64: 'This is not base64.',
  fields: 'This is not what the mechanism asks for.',
  empty: 'User name and password may not be empty.',
  control: 'Line ends and NUL are not allowed.',
  'utf-8': 'The user name is not UTF-8.',
}

/**
 * Whether a line opens a conversation in another language: an HTTP request or one of its headers (threats A10). In IMAP `GET`
 * would be a lawful tag; no client uses it.
 */
export function isForeign(line: string): boolean {
  const word = line.slice(0, 10).toUpperCase()
  return FOREIGN.some((start) => word.startsWith(start))
}
const FOREIGN = [
  'GET ',
  'POST ',
  'PUT ',
  'HEAD ',
  'DELETE ',
  'OPTIONS ',
  'CONNECT ',
  'PATCH ',
  'TRACE ',
  'HOST:',
  'PRI * ',
]

/**
 * Notes a login that was refused for want of TLS (threats A2): its secret was neither read nor checked, so it never reaches
 * the gate.
 */
export function noteTlsRequired(
  options: DialogueOptions,
  protocol: ProtocolName,
  peer: Peer,
  mechanism: string,
  agent: string | null,
): void {
  const { log, metrics, listener } = options
  const reason = 'tls-required'
  metrics.logins.inc({ protocol, result: 'refused', reason })
  log.event('info', 'login_refused', 'login without TLS refused', {
    protocol,
    listener,
    remote_ip: peer.ip,
    remote_port: peer.port,
    local_port: peer.localPort,
    mechanism,
    agent,
    result: 'refused',
    reason,
  })
}
