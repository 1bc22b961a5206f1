/**
 * The style sheet, the scripts and the icon: read once at start, each at an address that holds its digest, so that a browser
 * keeps it for good and never has an old one.
 *
 * Scripts are for copying, dialogs and passkeys; every page works without them, but passkeys, which are a script by nature.
 */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyInstance } from 'fastify'

const FILES = {
  style: { file: 'portal.css', type: 'text/css; charset=utf-8' },
  script: { file: 'portal.js', type: 'text/javascript; charset=utf-8' },
  passkeys: { file: 'passkeys.js', type: 'text/javascript; charset=utf-8' },
  icon: { file: 'icon.svg', type: 'image/svg+xml' },
} as const
type AssetName = keyof typeof FILES

/** Name → address. */
export type Assets = Readonly<Record<AssetName, string>>

/** The bundle of @simplewebauthn/browser, which sets `SimpleWebAuthnBrowser`. */
function passkeysBundle(): string {
  const entry = createRequire(import.meta.url).resolve('@simplewebauthn/browser')
  const root = entry.slice(0, entry.lastIndexOf('@simplewebauthn')) + join('@simplewebauthn', 'browser')
  return join(root, 'dist/bundle/index.umd.min.js')
}

export function serveAssets(app: FastifyInstance): Assets {
  const directory = join(dirname(import.meta.filename), 'assets')
  const addresses = Object.entries(FILES).map(([name, { file, type }]) => {
    const body = readFileSync(name === 'passkeys' ? passkeysBundle() : join(directory, file))
    const digest = createHash('sha256').update(body).digest('base64url').slice(0, 12)
    const [stem = '', ending = ''] = file.split('.')
    const address = `/assets/${stem}.${digest}.${ending}`
    app.get(address, async (_, reply) =>
      reply.type(type).header('cache-control', 'public, max-age=31536000, immutable').send(body),
    )
    return [name, address]
  })
  return Object.fromEntries(addresses) as Assets
}
