/**
 * How a request reaches the web process: over a local socket, one request per connection, and only through one of two doors.
 *
 * `public` is the https edge, `operator` the loopback port that the supervisor serves. Any process of the same user can connect
 * to a unix socket, whatever Node's permission model says, so each request carries its door's key; and because web can't see
 * who is at the far end, it carries that as well. Both headers are taken off again before anything else looks at the request.
 */

import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Secret } from '../secret.ts'

export const DOORS = ['public', 'operator'] as const
export type Door = (typeof DOORS)[number]

/** Who asks, as the process that accepted the connection knows it. */
export interface WebClient {
  readonly door: Door
  readonly ip: string
  readonly port: number
  readonly protocol: 'https' | 'http'
  /** Names the request in the logs of both processes: 16 letters and digits. */
  readonly requestId: string
}

export type DoorKeys = Readonly<Record<Door, Secret>>

/** In lower case, as Node has header names. */
const WEB_KEY_HEADER = 'x-sallyport-key'
const WEB_CLIENT_HEADER = 'x-sallyport-client'

/** A key for each door, so that who knows one can't come through the other. */
export function doorKeys(secret: Secret): DoorKeys {
  const keyOf = (door: Door) => new Secret(createHmac('sha256', secret.reveal()).update(door).digest('base64url'))
  return { public: keyOf('public'), operator: keyOf('operator') }
}

/** What to send along. */
export function doorHeaders({ door: _, ...client }: WebClient, key: Secret): Readonly<Record<string, string>> {
  return {
    [WEB_KEY_HEADER]: key.reveal(),
    [WEB_CLIENT_HEADER]: Buffer.from(JSON.stringify(client)).toString('base64url'),
  }
}

/** Who asks, and takes the two headers off; null: it did not come through a door. */
export function clientAtDoor(headers: IncomingHttpHeaders, keys: DoorKeys): WebClient | null {
  const key = headers[WEB_KEY_HEADER]
  const text = headers[WEB_CLIENT_HEADER]
  delete headers[WEB_KEY_HEADER]
  delete headers[WEB_CLIENT_HEADER]
  // Digests have one length, so the comparison takes one time.
  const given = digest(typeof key === 'string' ? key : '')
  let door: Door | null = null
  for (const each of DOORS) if (timingSafeEqual(given, digest(keys[each].reveal()))) door = each
  if (door === null || typeof text !== 'string') return null
  // Whoever knows the key is one of us, so this is what `doorHeaders` made.
  return { ...(JSON.parse(Buffer.from(text, 'base64url').toString()) as Omit<WebClient, 'door'>), door }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
