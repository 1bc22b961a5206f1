/**
 * No request names a place to connect to (threats D10): not a person's at the portal, not an administrator's, a program's or the
 * command line's. Where upstreams, providers and directories are is in the configuration alone.
 */

import t from 'tap'
import { z } from 'zod'
import { PORTAL_METHODS } from '../../src/contract/portal.ts'
import { SERVICE_METHODS } from '../../src/contract/services.ts'

/** What a place would be called. `networks` are blocks that a client may come from, `address` is a user's name. */
const PLACE = /host|url|uri|link|origin|server|endpoint|issuer|proxy|port$|target|callback|redirect|webhook|domain/i
/** `link` says whether an account is to be linked to a provider of the configuration. */
const HARMLESS: ReadonlySet<string> = new Set(['link'])

/** The names of all fields of a JSON Schema, at any depth. */
function fields(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(fields)
  if (typeof schema !== 'object' || schema === null) return []
  return Object.entries(schema).flatMap(([key, value]) =>
    key === 'properties' ? [...Object.keys(value as object), ...fields(Object.values(value as object))] : fields(value),
  )
}

const methods = Object.entries({ ...SERVICE_METHODS, ...PORTAL_METHODS })

t.test('D10: no field of any request is a place to connect to', async (t) => {
  t.ok(methods.length > 60, `${methods.length} methods`)
  const seen = new Set<string>()
  for (const [name, { request }] of methods) {
    for (const field of fields(z.toJSONSchema(request, { io: 'input', unrepresentable: 'any' }))) {
      seen.add(field)
      t.ok(!PLACE.test(field) || HARMLESS.has(field), `${name}: ${field}`)
    }
  }
  t.ok(seen.has('address') && seen.has('networks') && seen.has('session'), 'and they were looked at')
  t.ok(seen.size > 40, `${seen.size} fields`)
})

t.test('D10: nor is one taken that is not declared', async (t) => {
  const valid = { address: 'ann@example.org', name: 'Ann', groups: [], admin: false }
  const { request } = SERVICE_METHODS['user.add']
  t.ok(request.safeParse({ address: 'ann@example.org' }).success)
  for (const more of [{ host: '127.0.0.1' }, { upstream: 'imap://127.0.0.1' }, { imap: { host: '127.0.0.1' } }]) {
    t.notOk(request.safeParse({ ...valid, ...more }).success, JSON.stringify(more))
  }
})
