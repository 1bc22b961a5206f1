/**
 * Who sent a request: what the door told of it, kept beside the request and read by `request.client`.
 */

import type { IncomingMessage } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { WebClient } from '../contract/web-door.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Through which door, and from where. The socket's own address is that of one of our processes. */
    readonly client: WebClient
  }
}

const clients = new WeakMap<IncomingMessage, WebClient>()

/** Notes whose request this is, before it is routed. */
export function setClient(request: IncomingMessage, client: WebClient): void {
  clients.set(request, client)
}

/** @throws Error for a request that came through no door, which is not served at all */
export function clientOf(request: IncomingMessage): WebClient {
  const client = clients.get(request)
  if (client === undefined) throw new Error('a request without a client')
  return client
}

export function decorateWithClient(app: FastifyInstance): void {
  app.decorateRequest('client', {
    getter() {
      return clientOf(this.raw)
    },
  })
}
