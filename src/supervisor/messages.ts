/**
 * What the supervisor and its children say to each other over the channel that fork made: lifecycle and metrics.
 *
 * Never a login, never a stored secret. What is secret here are the TLS keys, and the keys of its channels that a child is given
 * with its first message, because it can read neither a file nor the environment it was started with.
 */

import type { LiveSession, UpstreamTarget } from '../contract/admission.ts'
import type { Language } from '../contract/languages.ts'
import type { NameRules } from '../contract/names.ts'
import type { WebSettings } from '../contract/web-settings.ts'
import type { LogLevel } from '../log.ts'
import type { MetricsSnapshot } from '../metrics.ts'

/** One port. Its number is never 0: the supervisor has chosen. */
export interface EdgePort {
  readonly name: string
  /** null: all addresses. */
  readonly bind: string | null
  readonly port: number
  /** CIDR blocks from which a PROXY header is demanded. */
  readonly proxyFrom: readonly string[]
}

/** A port of a mail edge. */
export interface EdgeListener extends EdgePort {
  readonly protocol: 'imap' | 'pop3' | 'smtp'
  readonly tls: 'implicit' | 'starttls' | 'none'
  /** null: that of the slice. Older than 1.2 at a scanner listener only. */
  readonly tlsMinVersion: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3' | null
  /** null: a port for everybody. */
  readonly scanner: {
    /** CIDR blocks that alone may connect. */
    readonly allowedNetworks: readonly string[]
    /** Short name → address of the account. */
    readonly aliases: Readonly<Record<string, string>>
  } | null
}

/** A port of the https edge. */
export interface HttpsListener extends EdgePort {
  readonly protocol: 'https'
  readonly serves: readonly ('portal' | 'eas' | 'autoconfig')[]
}

/** An upstream without the way in, for protocols that announce what it offers before anybody has logged in. */
export interface EdgeUpstream extends Omit<UpstreamTarget, 'identity' | 'trusted'> {
  readonly protocol: 'smtp'
}

/** The part of the configuration that edges know, renewed at every reload. No secret but the TLS keys. */
export interface EdgeSlice {
  readonly limits: {
    /** This edge's share of the connections. */
    readonly connections: number
    readonly perAddress: number
    readonly loginMs: number
    readonly idleMs: number
  }
  readonly names: NameRules
  readonly portalUrl: string | null
  /** What those hear who have not proved to be a user. */
  readonly language: Language
  /** The only host name under which ActiveSync is served; null: under all. */
  readonly easHost: string | null
  readonly upstreams: readonly EdgeUpstream[]
  readonly tls: {
    /** PEM, leaf first. The first pair is shown to whoever asks for no name or an unknown one. */
    readonly certificates: readonly { readonly name: string; readonly cert: string; readonly key: string }[]
    readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
    /** 48 bytes in base64, the same for all edges, so that a session resumes at any of them. */
    readonly ticketKeys: string
  }
  readonly logLevel: LogLevel
  /** Nobody is let in while nobody takes the log. */
  readonly auditRequired: boolean
}

/** Who an edge is, to its supervisor and to the keeper. */
export interface EdgeIdentity {
  readonly version: string
  /** 'edge-1': its name in logs. */
  readonly name: string
  /** Unique per process, and the key that proves it to the keeper. */
  readonly edgeId: string
  readonly gate: { readonly path: string; readonly key: string }
  /** Tests only: answers 'heap-snapshot' and 'sessions'. */
  readonly testHooks: boolean
}

export interface EdgeInit extends EdgeSlice, EdgeIdentity {
  readonly listeners: readonly EdgeListener[]
}

/** Where web listens, and the key of the door that this process is. */
export interface WayToWeb {
  readonly path: string
  readonly key: string
}

export interface HttpsInit extends EdgeSlice, EdgeIdentity {
  readonly listeners: readonly HttpsListener[]
  readonly web: WayToWeb
}

export interface WebInit {
  readonly version: string
  /** The socket to listen at: nothing is there. */
  readonly path: string
  /** What the keys of its doors are made from. */
  readonly doorSecret: string
  /** The keeper's web.sock. */
  readonly keeper: { readonly path: string; readonly key: string }
  readonly settings: WebSettings
}

/**
 * The configuration as it was accepted, not as the file may be by now: a keeper that is started again must not fail because of
 * what somebody is just editing. The files that it names, with the secrets, the keeper reads itself.
 */
export interface AcceptedConfig {
  readonly file: string
  /** JSON. */
  readonly settings: string
}

export interface KeeperInit {
  readonly version: string
  readonly config: AcceptedConfig
  readonly logLevel: LogLevel
  /** A directory, made when it is missing: the successor of a keeper that died starts faster. */
  readonly compileCache: string
  /** What the keys of the edges are made from. */
  readonly edgeSecret: string
  /** Ids of the edges that run already: their sessions are not lost with a keeper that died. */
  readonly edges: readonly string[]
  /** Web's key; null: there is no web. */
  readonly webKey: string | null
}

/** The first message to a child, by what it is. */
export type Init = KeeperInit | EdgeInit | HttpsInit | WebInit

export interface DrainOptions {
  /** How long sessions may go on. */
  readonly graceMs: number
  /** After it they are cut one by one within this time, so that clients don't all come back at once. */
  readonly spreadMs: number
}

/** What a child can be asked, by name: parameters and answer. */
export interface Asks {
  start: { params: Init; answer: null }
  /** An edge gets its new slice, the keeper the new configuration, web what it shows of that. */
  reload: { params: EdgeSlice | AcceptedConfig | WebSettings; answer: null }
  drain: { params: DrainOptions; answer: null }
  stop: { params: null; answer: null }
  metrics: { params: null; answer: MetricsSnapshot }
  health: { params: null; answer: { readonly ok: boolean; readonly store: string; readonly redis: string } }
  /** The keeper is told which edges run, by id. */
  edges: { params: readonly string[]; answer: null }
  ping: { params: null; answer: null }
  'heap-snapshot': { params: null; answer: string }
  sessions: { params: null; answer: readonly LiveSession[] }
}
export type AskName = keyof Asks

/** A child could not do what it was asked. `code` is that of the error there. */
export class ChildError extends Error {
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.name = 'ChildError'
    this.code = code
  }
}

/** One end of the channel: a ChildProcess, or `process` in the child. */
export interface Channel {
  send?(message: object, callback: (error: Error | null) => void): unknown
  on(event: 'message', listener: (message: unknown) => void): unknown
  on(event: 'disconnect', listener: () => void): unknown
}

interface Question {
  readonly ask: AskName
  readonly id: number
  readonly params: unknown
}
type Reply =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly code: string; readonly message: string }

export type Ask = <N extends AskName>(
  name: N,
  params: Asks[N]['params'],
  timeoutMs: number | null,
) => Promise<Asks[N]['answer']>

/** The asking end. Pending questions are rejected when the channel closes. */
export function asking(channel: Channel, who: string): Ask {
  const pending = new Map<number, { resolve(answer: unknown): void; reject(error: Error): void }>()
  let nextId = 1
  channel.on('message', (message) => {
    const reply = message as Reply
    const asked = pending.get(reply.id)
    if (asked === undefined) return
    pending.delete(reply.id)
    if ('answer' in reply) asked.resolve(reply.answer)
    else asked.reject(new ChildError(reply.code, reply.message))
  })
  channel.on('disconnect', () => {
    for (const { reject } of pending.values()) reject(new ChildError('ERR_CHILD_GONE', `${who} is gone`))
    pending.clear()
  })
  return (name, params, timeoutMs) =>
    new Promise((resolve, reject) => {
      const id = nextId++
      const timer =
        timeoutMs === null
          ? undefined
          : setTimeout(() => {
              pending.delete(id)
              reject(new ChildError('ERR_CHILD_TIMEOUT', `${who} did not answer ${name} within ${timeoutMs} ms`))
            }, timeoutMs)
      pending.set(id, {
        resolve(answer) {
          clearTimeout(timer)
          resolve(answer as Asks[typeof name]['answer'])
        },
        reject(error) {
          clearTimeout(timer)
          reject(error)
        },
      })
      const question: Question = { ask: name, id, params }
      const failed = (error: Error | null) => {
        if (error === null || !pending.delete(id)) return
        clearTimeout(timer)
        reject(new ChildError('ERR_CHILD_GONE', `${who} is gone`))
      }
      try {
        if (channel.send === undefined) failed(new Error('no channel'))
        else channel.send(question, failed)
      } catch (error) {
        failed(error as Error)
      }
    })
}

/** The answering end. What `answer` throws goes back as code and message. */
export function answering(channel: Channel, answer: (name: AskName, params: unknown) => Promise<unknown>): void {
  channel.on('message', (message) => {
    const { ask, id, params } = message as Question
    const reply = (body: object) => channel.send?.({ id, ...body }, () => {})
    answer(ask, params).then(
      (result) => reply({ answer: result ?? null }),
      (error: unknown) => {
        const code = error instanceof Error && 'code' in error ? String(error.code) : 'ERR_CHILD'
        reply({ code, message: error instanceof Error ? error.message : String(error) })
      },
    )
  })
}
