/**
 * The portal's cookies: names, attributes, and what is in them.
 *
 * All are `__Host-` (RFC 6265bis §4.1.3.2): Secure, for this host alone, so that no neighbour under the same domain can plant
 * one. None can be read by a script. What a browser sends back is checked like everything else from outside.
 */

import type { CookieSerializeOptions } from '@fastify/cookie'
import { z } from 'zod'
import { SECOND_STEPS } from '../../contract/portal/client.ts'
import type { SessionsEnded } from '../../contract/services/method.ts'

export const COOKIES = {
  /** Token of the portal's session, kept by the keeper. */
  session: '__Host-sallyport-session',
  /** A sign-in under way. */
  flow: '__Host-sallyport-flow',
  /** What the next page has to say, once. */
  note: '__Host-sallyport-note',
  language: '__Host-sallyport-language',
  /** What forms before the sign-in are bound to (csrf.ts). */
  form: '__Host-sallyport-form',
} as const

const SEAL = { path: '/', secure: true, httpOnly: true, sameSite: 'lax' } as const satisfies CookieSerializeOptions
const YEAR_SECONDS = 365 * 24 * 3600

export const COOKIE_OPTIONS = {
  // Goes with the browser; the keeper ends the session anyway, after 30 idle minutes and after 12 hours.
  session: SEAL,
  flow: { ...SEAL, maxAge: 600 },
  note: { ...SEAL, maxAge: 60 },
  language: { ...SEAL, maxAge: YEAR_SECONDS },
  form: SEAL,
} as const satisfies Record<keyof typeof COOKIES, CookieSerializeOptions>

/** A sign-in under way: its token, what may finish it, and where to go then. */
const flow = z.strictObject({
  token: z.string().min(16).max(128),
  methods: z.array(z.enum(SECOND_STEPS)).max(SECOND_STEPS.length),
  next: z.string().max(1024).nullable(),
})
export type FlowCookie = z.infer<typeof flow>

/** What a change has ended (M2). `partly`: somebody did not say so in time. */
const ended = { sessions: z.number().int().min(0), partly: z.boolean() }

/**
 * What was just done, said on the next page. Names are the person's own text, put through the page like any other; only this
 * host can set the cookie, so nobody can make the portal say something by a link.
 */
const note = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('app-password-deleted'), name: z.string().max(64), ...ended }),
  z.strictObject({ kind: z.literal('device-blocked'), name: z.string().max(256), ...ended }),
  z.strictObject({ kind: z.literal('app-passwords-deleted'), count: z.number().int(), ...ended }),
  z.strictObject({ kind: z.enum(['user-disabled', 'policy-set', 'mail-sessions-ended']), ...ended }),
  z.strictObject({
    kind: z.enum(['method-deleted', 'method-added', 'renamed', 'user-added', 'device-allowed', 'device-forgotten']),
    name: z.string().max(256),
  }),
  z.strictObject({ kind: z.literal('signed-out-others'), count: z.number().int() }),
  z.strictObject({
    kind: z.enum([
      'app-password-ready',
      'enrolled',
      'last-method',
      'for-administrators',
      'not-allowed',
      'signed-out',
      'session-over',
      'language',
      'password-set',
      'user-enabled',
      'two-step-reset',
    ]),
  }),
])
export type Note = z.infer<typeof note>
export interface Ended {
  readonly sessions: number
  readonly partly: boolean
}

/** The part of a note about what a call ended. */
export function noteOfEnded({ sessionsEnded, unanswered }: SessionsEnded): Ended {
  return { sessions: sessionsEnded, partly: unanswered.length > 0 }
}

export const readFlow = (text: string | undefined): FlowCookie | null => unpack(text, flow)
export const readNote = (text: string | undefined): Note | null => unpack(text, note)

export function pack(value: FlowCookie | Note): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function unpack<T>(text: string | undefined, shape: z.ZodType<T>): T | null {
  if (text === undefined) return null
  try {
    return shape.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString())).data ?? null
  } catch {
    return null
  }
}
