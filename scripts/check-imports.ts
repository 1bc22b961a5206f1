/**
 * Says when a file of src/ imports from a room that it may not know (docs/architecture.md, "Who may import whom").
 *
 * A room is a top-level file or folder of src/. Rooms stand on floors and import from lower floors only; inside a floor
 * only in the order listed. Imports of node: modules and packages are free, but for the few that belong to one room.
 * `import type` counts as well: a type is knowledge, too.
 */

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const SRC = resolve(import.meta.dirname, '../src')

/** Room → rooms it may import. A room is the longest matching prefix of a path under src/. */
const FLOOR_0 = ['secret', 'log', 'metrics', 'pulse', 'config', 'ipc']
const BASE = [...FLOOR_0, 'contract']
const NET = [...BASE, 'edge/net']
const LOGIN = [...NET, 'edge/login']
const STORE = [...BASE, 'records/store', 'records/keys', 'records/vault']
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  secret: [],
  log: ['secret'],
  metrics: ['secret', 'log'],
  pulse: [],
  config: ['secret', 'log', 'metrics'],
  ipc: ['secret', 'log', 'metrics', 'config'],
  contract: FLOOR_0,
  'edge/net': BASE,
  'edge/login': NET,
  'edge/imap': LOGIN,
  'edge/pop3': LOGIN,
  'edge/smtp': LOGIN,
  'edge/http': NET,
  'edge/eas': [...LOGIN, 'edge/http'],
  'edge/forward': [...NET, 'edge/http'],
  'records/store': [...BASE, 'records/keys', 'records/vault'],
  'records/keys': BASE,
  'records/vault': [...BASE, 'records/keys'],
  records: STORE,
  web: BASE,
  keeper: [...STORE, 'records'],
  app: ['*'],
  supervisor: ['*', '!app'],
  cli: ['*'],
  main: ['*'],
}
/** Top of the house, in order: each may import what stands before it. */
const TOP = ['supervisor', 'app', 'cli', 'main']
/** Packages that only these rooms may load. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  kysely: ['records/store'],
  'node:sqlite': ['records/store'],
  argon2: ['records'],
  ioredis: ['keeper', 'records'],
  imapflow: ['cli'],
  undici: ['edge/eas', 'keeper'],
  'openid-client': ['keeper'],
  ldapts: ['keeper'],
  otpauth: ['records'],
  '@simplewebauthn/server': ['records'],
  nodemailer: ['keeper'],
  fastify: ['web'],
  commander: ['cli', 'main'],
  // threats D11: whoever needs a connection names a host, and no text of DNS is anybody's data. `dns` and `check` look at DNS itself.
  'node:dns': ['cli'],
  'node:dns/promises': ['cli'],
}

function roomOf(path: string): string {
  const name = relative(SRC, path).replace(/\.ts$/, '')
  const known = Object.keys(ROOMS)
    .filter((room) => name === room || name.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)
  return known[0] ?? name
}

function mayImport(from: string, to: string): boolean {
  if (from === to) return true
  const top = TOP.indexOf(from)
  if (top >= 0) return TOP.indexOf(to) < top
  return ROOMS[from]?.includes(to) ?? false
}

const problems: string[] = []
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const edges = new Map<string, string[]>()

for (const file of files) {
  const path = join(SRC, file)
  const room = roomOf(path)
  if (!(room in ROOMS)) problems.push(`src/${file}: "${room}" is not a room of the house; see docs/architecture.md`)
  const text = readFileSync(path, 'utf8')
  const valueImports: string[] = []
  for (const match of text.matchAll(
    /^\s*(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm,
  )) {
    const target = match[2] ?? match[3] ?? ''
    if (!target.startsWith('.')) {
      const name = target.startsWith('node:')
        ? target
        : target
            .split('/')
            .slice(0, target.startsWith('@') ? 2 : 1)
            .join('/')
      const rooms = PACKAGES[name]
      if (rooms && !rooms.includes(room)) problems.push(`src/${file}: ${name} belongs to ${rooms.join(', ')} alone`)
      continue
    }
    const to = resolve(dirname(path), target)
    if (!to.startsWith(`${SRC}/`)) {
      problems.push(`src/${file}: imports ${target}, which is outside src/`)
      continue
    }
    if (!mayImport(room, roomOf(to))) problems.push(`src/${file}: ${room} may not import ${roomOf(to)} (${target})`)
    if (!match[1] && match[2]) valueImports.push(to)
  }
  edges.set(path, valueImports)
}

// A circle inside one room is not caught by the floors.
const state = new Map<string, 'open' | 'done'>()
function walk(path: string, trail: readonly string[]): void {
  if (state.get(path) === 'done') return
  if (state.get(path) === 'open') {
    const circle = [...trail.slice(trail.indexOf(path)), path].map((step) => relative(SRC, step))
    problems.push(`circle: ${circle.join(' → ')}`)
    return
  }
  state.set(path, 'open')
  for (const next of edges.get(path) ?? []) walk(next, [...trail, path])
  state.set(path, 'done')
}
for (const path of edges.keys()) walk(path, [])

for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
console.log(`imports: ${files.length} files keep to the house rules`)
