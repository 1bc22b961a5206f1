/**
 * What forms and addresses hold, as they are checked before a route looks at them. `csrf` has been looked at already.
 *
 * Strict: a field that no page of ours has is a bad request (threats H7), and so is one that is there twice where it should be once.
 */

import { z } from 'zod'
import { localPath } from './paths.ts'

const csrf = { csrf: z.string().max(256) }
/** A form with these fields. */
export const formOf = <S extends z.ZodRawShape>(shape: S) => z.strictObject({ ...csrf, ...shape })

/** Only a path of this site; anything else counts as none (threats H4). */
export const next = z
  .string()
  .max(2048)
  .optional()
  .transform((text) => localPath(text))

export const id = z.string().min(1).max(64)
/** Of a device of ActiveSync: what it calls itself. */
export const deviceId = z.string().min(1).max(128)
export const token = z.string().min(16).max(128)
/** As typed: blanks and hyphens in a code mean nothing. */
export const code = z
  .string()
  .max(64)
  .transform((text) => text.replace(/[\s-]/g, ''))
export const text = (max: number) =>
  z
    .string()
    .max(max)
    .transform((typed) => typed.trim())
/** A checkbox group: none, one or several. */
export const several = z
  .union([z.string().max(64), z.array(z.string().max(64)).max(32)])
  .optional()
  .transform((given) => (given === undefined ? [] : Array.isArray(given) ? given : [given]))
/** JSON of a browser's WebAuthn answer, in a field that a script has filled. */
export const webauthnResponse = z
  .string()
  .max(16_384)
  .transform((given, context) => {
    try {
      const value: unknown = JSON.parse(given)
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
    } catch {
      // Said below.
    }
    context.addIssue({ code: 'custom', message: 'no WebAuthn answer' })
    return z.NEVER
  })

export const empty = formOf({})
