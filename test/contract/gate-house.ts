/**
 * A keeper's GateHouse that does what a test says, and notes what it was told.
 */

import { randomBytes } from 'node:crypto'
import type {
  EdgePort,
  GateHouse,
  Grant,
  LiveSession,
  LoginAttempt,
  SessionEnder,
} from '../../src/contract/admission.ts'
import { Secret } from '../../src/secret.ts'

export function attemptOf(authcid: string, secret: string, change: Partial<LoginAttempt> = {}): LoginAttempt {
  return {
    protocol: 'imap',
    mechanism: 'LOGIN',
    credential: { kind: 'password', authcid, authzid: '', secret: new Secret(secret) },
    peer: { ip: '192.0.2.7', port: 4711, localIp: '192.0.2.1', localPort: 143, tls: null },
    agent: null,
    ...change,
  }
}

export function grantOf(attempt: LoginAttempt, change: Partial<Grant['upstream']> = {}): Grant {
  return {
    id: randomBytes(16).toString('base64url'),
    userId: `id-of-${attempt.credential.authcid}`,
    logName: attempt.credential.authcid,
    appPassword: { id: 'ap-1', name: 'phone' },
    verifiedBy: 'us',
    upstream: {
      name: 'main',
      hosts: [{ host: '127.0.0.1', port: 993 }],
      tls: 'implicit',
      ca: null,
      serverName: null,
      proxyProtocol: null,
      identity: {
        kind: 'password',
        authcid: 'master',
        authzid: attempt.credential.authcid,
        secret: new Secret('master-secret'),
      },
      trusted: true,
      ...change,
    },
  }
}

export interface HousePort {
  readonly ender: SessionEnder
  readonly attempts: LoginAttempt[]
  /** 'settle g accepted', 'ended g revoked', in order. */
  readonly told: string[]
  resumed: readonly LiveSession[] | null
  closed: boolean
}

export interface ScriptedHouse {
  readonly house: GateHouse
  readonly ports: HousePort[]
  readonly port: HousePort
  /** Resolves when `done` is true; asked again after each thing that an edge tells. */
  until(done: () => boolean): Promise<void>
}

export function scriptedHouse(
  script: {
    admit?: (attempt: LoginAttempt, port: HousePort) => Promise<Grant>
    resume?: (sessions: readonly LiveSession[]) => Promise<readonly string[]>
  } = {},
): ScriptedHouse {
  const ports: HousePort[] = []
  const watchers = new Set<() => void>()
  const happened = () => {
    for (const watcher of watchers) watcher()
  }
  return {
    ports,
    get port() {
      const last = ports.at(-1)
      if (last === undefined) throw new Error('no edge has come')
      return last
    },
    until(done) {
      return new Promise((resolve) => {
        const watcher = () => {
          if (!done()) return
          watchers.delete(watcher)
          resolve()
        }
        watchers.add(watcher)
        watcher()
      })
    },
    house: {
      attach(ender): EdgePort {
        const port: HousePort = { ender, attempts: [], told: [], resumed: null, closed: false }
        ports.push(port)
        return {
          async admit(attempt) {
            port.attempts.push(attempt)
            happened()
            return script.admit ? script.admit(attempt, port) : grantOf(attempt)
          },
          settle(id, outcome) {
            port.told.push(`settle ${id} ${outcome}`)
            happened()
          },
          ended(id, end) {
            port.told.push(`ended ${id} ${end.reason}`)
            happened()
          },
          async resume(sessions) {
            port.resumed = sessions
            const ends = script.resume ? await script.resume(sessions) : []
            happened()
            return ends
          },
          close() {
            port.closed = true
            happened()
          },
        }
      },
    },
  }
}
