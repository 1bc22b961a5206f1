/**
 * The keeper's side of the channels to its edges: checks every frame and drives a `GateHouse`.
 *
 * An edge talks to strangers, so it is taken for hostile: it may only resume, admit, settle and end, each in its exact form
 * (zod), and the first frame that is not ends its channel. Each channel is a port of its own. When one breaks, its port is
 * kept for a grace, in which the edge may come back under its id (which only its own key opens) and take its sessions over
 * to the new port; then it is closed, which settles and ends what nobody took over.
 */

import { createHmac } from 'node:crypto'
import { z } from 'zod'
import type { IpcHandlers, IpcPeer, IpcServer } from '../ipc.ts'
import { DEFAULT_LIMITS, IpcError, IpcFailure, serveIpc } from '../ipc.ts'
import type { Log } from '../log.ts'
import { Secret } from '../secret.ts'
import type { EdgePort, EndReason, GateHouse, LiveSession, Outcome, SessionEnd } from './admission.ts'
import { DEVICE_ID, END_REASONS, PROTOCOL_NAMES } from './admission.ts'
import { LoginFailure } from './failure.ts'
import type { AttemptWire } from './gate-wire.ts'
import { attemptFromWire, caNotices, failureToWire, GATE_ROLE, grantToWire, MAX_CA_TEXTS } from './gate-wire.ts'

export interface GateServerOptions {
  readonly path: string
  /** What the keys of all edges are made from; see `edgeKey`. */
  readonly secret: Secret
  readonly house: GateHouse
  readonly log: Log
  /** How long the sessions of a broken channel are kept for its edge. Default 2 s. */
  readonly graceMs?: number
  /** Sessions that one edge may bring along. Default 100,000. */
  readonly maxSessions?: number
}

const GRACE_MS = 2000
const MAX_SESSIONS = 100_000
/**
 * Beyond what an edge asks at once. A primary password waits for its turn until the edge has told what came of the one before it,
 * and of a channel that waits for an answer nothing is read: the two must never wait for each other.
 */
const IN_WORK = DEFAULT_LIMITS.pending + 1
/** Longer than a SASL response may be (12 KiB), so that the edge's own limit is the one that is met. */
const MAX_SECRET = 16 * 1024

/** The key that proves an edge's id: nobody but the edge that was given it can speak for that id. */
export function edgeKey(secret: Secret, edgeId: string): Secret {
  return new Secret(createHmac('sha256', secret.reveal()).update(edgeId).digest('base64url'))
}

const port = z.int().min(0).max(65_535)
const grantId = z.string().min(1).max(64)
const name = z.string().max(320)

const deviceId = z.string().regex(DEVICE_ID)

const attemptSchema = z.strictObject({
  protocol: z.enum(PROTOCOL_NAMES),
  mechanism: z.string().max(32),
  credential: z.discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('password'), authcid: name, authzid: name, secret: z.string().max(MAX_SECRET) }),
    z.strictObject({ kind: z.literal('bearer'), authcid: name, token: z.string().max(MAX_SECRET) }),
  ]),
  peer: z.strictObject({
    ip: z.string().max(64),
    port,
    localIp: z.string().max(64),
    localPort: port,
    tls: z
      .strictObject({ version: z.string().max(32), cipher: z.string().max(64), serverName: name.nullable() })
      .nullable(),
  }),
  agent: z.string().max(128).nullable(),
  device: z.exactOptional(
    z.strictObject({
      id: deviceId,
      type: z.string().max(64).nullable(),
      protocolVersion: z.string().max(16).nullable(),
    }),
  ),
}) satisfies z.ZodType<AttemptWire>

const outcomes = ['accepted', 'upstream-refused', 'failed', 'client-gone'] as const satisfies readonly Outcome[]
/** Only the keeper itself says 'edge-gone'. */
const endReasons = END_REASONS.filter((reason): reason is Exclude<EndReason, 'edge-gone'> => reason !== 'edge-gone')
const settleSchema = z.tuple([grantId, z.enum(outcomes)])
const endedSchema = z.tuple([
  grantId,
  z.strictObject({
    reason: z.enum(endReasons),
    netInBytes: z.number().min(0),
    netOutBytes: z.number().min(0),
    durationMs: z.number().min(0),
  }) satisfies z.ZodType<SessionEnd>,
])
const resumeSchema = z.strictObject({
  sessions: z
    .array(
      z.strictObject({
        grantId,
        userId: z.string().min(1).max(64),
        logName: name,
        appPassword: z.strictObject({ id: z.string().max(64), name: z.string().max(256) }).nullable(),
        protocol: z.enum(PROTOCOL_NAMES),
        device: z.exactOptional(deviceId),
        ip: z.string().max(64),
        port,
        startedAt: z.number().min(0).max(8.64e15),
        settled: z.boolean(),
      }) satisfies z.ZodType<LiveSession>,
    )
    .max(1000),
  last: z.boolean(),
})

/** Checks what an edge sent. The error names the place that is wrong, never what stands there. */
function checked<T>(schema: z.ZodType<T>, params: unknown, edge: string, method: string): T {
  const result = schema.safeParse(params)
  if (result.success) return result.data
  const places = result.error.issues.slice(0, 3).map(({ code, path }) => `${path.join('.') || '(all)'}: ${code}`)
  throw new IpcError('ERR_IPC_PROTOCOL', `${edge} sent a ${method} that breaks the contract: ${places.join(', ')}`)
}

/** Serves edges at a path until closed. @throws IpcError when the path can't be listened at */
export async function serveGate(options: GateServerOptions): Promise<IpcServer> {
  const { path, secret, house, log, graceMs = GRACE_MS, maxSessions = MAX_SESSIONS } = options
  /** Ports of channels that broke, until their edge has taken over or the grace is over. */
  const orphans = new Map<EdgePort, { readonly edge: string; readonly timer: NodeJS.Timeout }>()
  /** The channel that speaks for an edge. */
  const channels = new Map<string, IpcPeer>()

  function orphan(edge: string, lost: EdgePort): void {
    const timer = setTimeout(() => closeOrphan(lost), graceMs)
    orphans.set(lost, { edge, timer })
  }

  function closeOrphan(lost: EdgePort): void {
    clearTimeout(orphans.get(lost)?.timer)
    if (orphans.delete(lost)) lost.close()
  }

  function accept(peer: IpcPeer): IpcHandlers {
    const edge = peer.name
    // An edge that connects again has lost its old channel, whether or not we have noticed.
    channels.get(edge)?.close()
    channels.set(edge, peer)
    let sessions: LiveSession[] | null = []
    let own: EdgePort | null = null
    const certificates = createCertificateNumbers(peer)

    function demanded<T>(schema: z.ZodType<T>, params: unknown, method: string): T {
      try {
        return checked(schema, params, edge, method)
      } catch (error) {
        throw error instanceof IpcError ? breaks(peer, error.message) : error
      }
    }

    async function resume(params: unknown): Promise<null> {
      const part = demanded(resumeSchema, params, 'resume')
      if (sessions === null) throw breaks(peer, `${edge} resumed twice`)
      sessions.push(...part.sessions)
      if (sessions.length > maxSessions) throw breaks(peer, `${edge} brings more than ${maxSessions} sessions along`)
      if (!part.last) return null
      const all = sessions
      sessions = null
      const ender = {
        // Not before the grant that it is for: the answer to an admit is sent in the turn in which it is decided.
        end: (id: string) => void setImmediate(() => peer.notify('end', id)),
      }
      const attached = house.attach(ender, edge)
      try {
        for (const id of await attached.resume(all)) peer.notify('end', id)
      } catch (error) {
        attached.close()
        peer.close()
        throw error
      }
      for (const [lost, { edge: whose }] of orphans) if (whose === edge) closeOrphan(lost)
      if (peer.isOpen) own = attached
      else orphan(edge, attached)
      return null
    }

    async function admit(params: unknown): Promise<unknown> {
      const asked = own
      if (asked === null) throw breaks(peer, `${edge} asked before it resumed`)
      const attempt = attemptFromWire(demanded(attemptSchema, params, 'admit'))
      try {
        const grant = await asked.admit(attempt)
        // The edge has not heard of it, so it will not settle it.
        if (!peer.isOpen) asked.settle(grant.id, 'failed')
        return grantToWire(grant, certificates(grant.upstream.ca))
      } catch (error) {
        throw error instanceof LoginFailure ? failureToWire(error) : error
      }
    }

    return {
      request(method, params) {
        if (method === 'admit') return admit(params)
        if (method === 'resume') return resume(params)
        throw breaks(peer, `${edge} asked for ${method}`)
      },
      notice(method, params) {
        if (own === null) throw new IpcError('ERR_IPC_PROTOCOL', `${edge} spoke before it resumed`)
        if (method === 'settle') own.settle(...checked(settleSchema, params, edge, method))
        else if (method === 'ended') own.ended(...checked(endedSchema, params, edge, method))
        else throw new IpcError('ERR_IPC_PROTOCOL', `${edge} told of ${method}`)
      },
      closed(why) {
        if (channels.get(edge) === peer) channels.delete(edge)
        if (own !== null) orphan(edge, own)
        own = null
        if (why.code === 'ERR_IPC_PROTOCOL') {
          log.event('error', 'warning', 'an edge broke the contract', {
            process: edge,
            error_code: why.code,
            detail: why.message,
          })
        }
      },
      bug: (error) => log.bug(error, 'a request of an edge failed', { process: edge }),
    }
  }

  /** Ends a channel because of a request, behind its answer: unanswered, it would be asked again on the next channel. */
  function breaks(peer: IpcPeer, message: string): IpcFailure {
    log.event('error', 'warning', 'an edge broke the contract', {
      process: peer.name,
      error_code: 'ERR_IPC_PROTOCOL',
      detail: message,
    })
    setImmediate(() => peer.close())
    return new IpcFailure('invalid', 'this breaks the contract')
  }

  const server = await serveIpc({
    path,
    role: GATE_ROLE,
    keyFor: (edgeId) => edgeKey(secret, edgeId),
    accept,
    refused: (why) =>
      log.event('warn', 'warning', 'a caller was turned away', { error_code: why.code, detail: why.message }),
    limits: { inWork: IN_WORK },
  })
  return {
    path: server.path,
    async close() {
      await server.close()
      for (const lost of [...orphans.keys()]) closeOrphan(lost)
    },
  }
}

/** Numbers for the PEM texts of one channel: a text is sent when it gets its number, and no number is used again. */
function createCertificateNumbers(peer: IpcPeer): (pem: string | null) => number | null {
  const numbers = new Map<string, number>()
  let next = 0
  return (pem) => {
    if (pem === null) return null
    const known = numbers.get(pem)
    if (known !== undefined) return known
    const [oldest] = numbers.size < MAX_CA_TEXTS ? [] : numbers
    if (oldest !== undefined) {
      const [text, gone] = oldest
      numbers.delete(text)
      // Not before the grants that name it: the answer to an admit is sent in the turn in which it is decided.
      setImmediate(() => peer.notify('ca-gone', gone))
    }
    const number = next++
    numbers.set(pem, number)
    for (const notice of caNotices(number, pem)) peer.notify('ca', notice)
    return number
  }
}
