/**
 * The way to web, as the supervisor makes it: a socket of which only those know who need it, and keys for its doors.
 *
 * Any process of this user can connect to a unix socket, and listen where there is none. So the name of web's has a random part
 * that a mail edge is not told and can't find out (it may read no directory), and each request carries a key besides.
 */

import { randomBytes } from 'node:crypto'
import { readdir, unlink } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import type { DoorKeys } from '../contract/web-door.ts'
import { doorKeys } from '../contract/web-door.ts'
import { sendProblem } from '../edge/forward/problem.ts'
import { createForward } from '../edge/forward.ts'
import { unmapped } from '../edge/net/proxy-header.ts'
import type { Log } from '../log.ts'
import { Secret } from '../secret.ts'

export interface WebWay {
  /** Where web listens. */
  readonly path: string
  /** What the keys of the doors are made from: web's alone. */
  readonly secret: Secret
  readonly keys: DoorKeys
  /** Of web's channel to the keeper. */
  readonly keeperKey: Secret
  /** Removes the socket that a web before this one has left. */
  clear(): Promise<void>
}

const NAME = /^pages-[0-9a-f]{12}\.sock$/

export function createWebWay(runtimeDirectory: string): WebWay {
  const secret = new Secret(randomBytes(32).toString('base64url'))
  return {
    path: join(runtimeDirectory, `pages-${randomBytes(6).toString('hex')}.sock`),
    secret,
    keys: doorKeys(secret),
    keeperKey: new Secret(randomBytes(32).toString('base64url')),
    async clear() {
      for (const name of await readdir(runtimeDirectory)) {
        if (NAME.test(name)) await unlink(join(runtimeDirectory, name)).catch(() => {}) // gone already
      }
    },
  }
}

/** Whether anything is served that web answers. */
export function needsWeb({ listeners }: Pick<Config, 'listeners'>): boolean {
  return listeners.some(
    (listener) => listener.protocol === 'https' || (listener.protocol === 'http' && listener.serves.includes('api')),
  )
}

/** What the API takes at the most, so that no bigger one is even sent on. */
const MAX_API_BODY_BYTES = 64 * 1024

/** Hands requests of the operators' port to web, through a door of its own. */
export function operatorDoor({ path, keys }: WebWay, log: Log) {
  const forward = createForward({
    path,
    key: keys.operator,
    log,
    answer: sendProblem,
    maxBodyBytes: MAX_API_BODY_BYTES,
  })
  return (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { remoteAddress = '', remotePort = 0 } = request.socket
    const requestId = randomBytes(8).toString('hex')
    const client = {
      door: 'operator',
      ip: unmapped(remoteAddress),
      port: remotePort,
      protocol: 'http',
      requestId,
    } as const
    // Node has given leave already to a client that waited for it.
    return forward({ request, response, client, wantBody() {} })
  }
}
