/**
 * A store with ten thousand users (and names of more) and a hundred thousand entries in its audit trail, and a keeper over it in a process of its own
 * (`loop-subject.ts`), with one edge that keeps its sessions.
 */

import { fork } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Test } from 'tap'
import type { Config } from '../../src/config.ts'
import { loadConfig } from '../../src/config.ts'
import type { Grant } from '../../src/contract/admission.ts'
import { LoginFailure } from '../../src/contract/failure.ts'
import { connectGate } from '../../src/contract/gate-channel.ts'
import { edgeKey } from '../../src/contract/gate-server.ts'
import { connectServices } from '../../src/contract/services-channel.ts'
import { createAuditSealer } from '../../src/records/audit-chain.ts'
import { openKeys } from '../../src/records/key-file.ts'
import { openStore } from '../../src/records/store/open.ts'
import { wordsOf } from '../../src/records/store/user-words.ts'
import { Secret } from '../../src/secret.ts'
import { launchOf } from '../../src/supervisor/launch.ts'
import type { AcceptedConfig } from '../../src/supervisor/messages.ts'
import { captureLog } from '../support/logs.ts'
import { cleanEnvironment } from '../support/sallyport.ts'
import type { LongestTurns } from '../support/turns.ts'
import type { AttemptOptions } from './house.ts'
import { attempt, writeConfig } from './house.ts'
import type { Start, Wish } from './loop-subject.ts'
import type { TablesStart, TableWork } from './loop-tables.ts'

export const USERS = 10_000
/** Besides: what concerns everybody must not grow with them. */
export const MORE_USERS = 40_000
export const AUDIT_ENTRIES = 100_000
/** Users with many app passwords each. */
export const CROWDED = { from: 300, to: 310, appPasswords: 40 }
const SUBJECT = 'loop-subject.ts'
const TABLES = 'loop-tables.ts'
/** In memory where there is such a thing: what a disk takes is its own, and not what is tested. */
const MEMORY = '/dev/shm'
const DAY = 24 * 60 * 60_000

export const addressOf = (n: number): string => `user${String(n).padStart(5, '0')}@a.test`

function directoryInMemory(t: Test): string {
  let parent = MEMORY
  try {
    accessSync(MEMORY, constants.W_OK)
  } catch {
    parent = tmpdir()
  }
  const directory = mkdtempSync(join(parent, 'sp-loop-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface FullStore {
  readonly directory: string
  readonly config: Config
  /** As a supervisor has read it; and with more lines. */
  readonly accepted: AcceptedConfig
  acceptedWith(yaml: string): Promise<AcceptedConfig>
  readonly file: string
  /** Ids of users and of their app passwords, in the order of their addresses. */
  readonly userIds: readonly string[]
  readonly appPasswordIds: readonly string[]
}

/** By hand, since the services would take minutes for it. */
export async function fullStore(t: Test): Promise<FullStore> {
  const directory = directoryInMemory(t)
  const config = await writeConfig(directory, { yaml: 'limits: { perUser: 10000 }' })
  const configFile = join(directory, 'sallyport.yaml')
  async function acceptedWith(more: string): Promise<AcceptedConfig> {
    const file = join(directory, 'longer.yaml')
    writeFileSync(file, `${readFileSync(configFile, 'utf8')}\n${more}\n`)
    const { settings } = await loadConfig({ path: file, env: {} })
    return { file: configFile, settings: settings.reveal() }
  }
  const file = 'sqlite' in config.store ? config.store.sqlite : ''
  const store = await openStore({ sqlite: file })
  const keys = await openKeys({ file: config.keys.file, store })
  await store.close()
  const db = new DatabaseSync(file)
  const into = (table: string, columns: string) =>
    db.prepare(`insert into ${table} (${columns}) values (${columns.replace(/\w+/g, '?')})`)
  const users = into('users', 'id, address, name, groups, admin, enabled, epoch, created_at, app_passwords')
  const words = into('user_words', 'word, address')
  const appPasswords = into(
    'app_passwords',
    'id, user_id, name, selector, hash, key_id, protocols, networks, created_at, tombstone_digest',
  )
  const tombstones = into('tombstones', 'user_id, digest, key_id, app_password_id, name, deleted_at')
  const cached = into('cached_logins', 'key, value, expires_at')
  const devices = into('devices', 'user_id, id, state, app_passwords, first_seen, last_seen, last_ip')
  const notices = into('notices', 'id, user_id, kind, detail, at')
  const sessions = into(
    'portal_sessions',
    'id, digest, key_id, user_id, stage, factors, csrf, ip, began_at, seen_at, expires_at',
  )
  const audit = into('audit', 'seq, at, event, actor, user_id, address, detail, key_id, code')
  const seal = createAuditSealer(keys)
  const keyId = keys.active.id
  const now = Date.now()
  const random = (bytes: number) => randomBytes(bytes).toString('base64url')
  const userIds: string[] = []
  const appPasswordIds: string[] = []

  db.exec('pragma synchronous = off; begin')
  for (let n = 0; n < USERS; n++) {
    const [id, appPasswordId, address, name] = [randomUUID(), randomUUID(), addressOf(n), `User Number ${n}`]
    userIds.push(id)
    appPasswordIds.push(appPasswordId)
    users.run(id, address, name, JSON.stringify(['staff', `group ${n % 50}`]), 0, 1, 1, now, n % 2 === 0 ? 1 : null)
    for (const word of wordsOf(address, name)) words.run(word, address)
    const issued = (rowId: string, name: string, at: number) => {
      const hash = `$argon2id$v=19$m=19456,t=2,p=1$${random(16)}$${random(32)}`
      appPasswords.run(rowId, id, name, n % 65_536, hash, keyId, '["imap","smtp"]', '[]', at, random(16))
    }
    issued(appPasswordId, 'phone', n < USERS / 2 ? now : now - (1 + (n % 5)) * 100 * DAY)
    if (n >= CROWDED.from && n < CROWDED.to) {
      for (let more = 1; more < CROWDED.appPasswords; more++) issued(randomUUID(), `device ${more}`, now)
    }
    tombstones.run(id, digestOf(n), keyId, randomUUID(), 'old', now - DAY)
    cached.run(random(32), random(100), now + DAY)
    devices.run(id, `device${n}`, n % 2 === 0 ? 'allowed' : 'waiting', '[]', now, now, '192.0.2.1')
    notices.run(randomUUID(), id, 'done-for-you', '{"what":"app-password-created","name":"phone"}', now)
    sessions.run(randomUUID(), random(32), keyId, id, 'full', '[]', random(16), '192.0.2.1', now, now, now + DAY / 2)
  }
  // In the group that all are in, and nothing else.
  db.exec(`insert into users (id, address, groups, admin, enabled, epoch, created_at)
    with recursive more(n) as (select 1 union all select n + 1 from more where n < ${MORE_USERS})
    select 'more-' || n, 'zz' || n || '@b.test', '["staff"]', 0, 1, 1, ${now} from more`)
  let code = ''
  for (let seq = 1; seq <= AUDIT_ENTRIES; seq++) {
    const n = seq % USERS
    const [at, event, detail] = [now - AUDIT_ENTRIES + seq, 'app_password_renamed', '{"name":"phone","before":"x"}']
    const entry = { seq, at, event, actor: 'cli:root', user_id: userIds[n] ?? '', address: addressOf(n), detail }
    code = seal(code, entry).code
    audit.run(seq, at, event, entry.actor, entry.user_id, entry.address, detail, keyId, code)
  }
  into('audit_head', 'id, seq, code').run(1, AUDIT_ENTRIES, code)
  db.exec('commit')
  db.close()
  return { directory, config, accepted: await acceptedWith(''), acceptedWith, file, userIds, appPasswordIds }
}

/** Of the deleted app password that the n-th user once had. */
const digestOf = (n: number): string => `digest-of-${n}`

/** A process under a keeper's flags and environment, and a way to ask it: each message is answered under its `id`. */
function forkAsKeeper(t: Test, script: string, more: readonly string[] = []) {
  const { env, execArgv } = launchOf('keeper', cleanEnvironment())
  // Node's own flags stand behind the shell and what that is to run.
  const flags = execArgv.filter((flag) => flag.startsWith('--'))
  const child = fork(join(import.meta.dirname, script), { env: { ...env }, execArgv: [...flags, ...more] })
  const gone = once(child, 'exit')
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  child.on('message', ({ id, answer, error }: { id: number; answer: unknown; error?: string }) => {
    if (error === undefined) waiting.get(id)?.resolve(answer)
    else waiting.get(id)?.reject(new Error(error))
    waiting.delete(id)
  })
  child.once('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`the process ended with ${code}`))
    waiting.clear()
  })
  let ids = 0
  async function stop(): Promise<void> {
    if (child.connected) child.disconnect()
    await gone
  }
  t.teardown(stop)
  return {
    send(message: object): Promise<unknown> {
      const sent = Promise.withResolvers<unknown>()
      waiting.set(ids, sent)
      child.send({ id: ids++, ...message })
      return sent.promise
    },
    stop,
  }
}

/** `loop-tables.ts`, over a store that nobody has open. */
export async function startTables(t: Test, { file, userIds, appPasswordIds }: FullStore) {
  const { send } = forkAsKeeper(t, TABLES, ['--expose-gc'])
  const start: TablesStart = { file, userIds, appPasswordIds, digests: userIds.map((_, n) => digestOf(n)) }
  await send({ start })
  const work = (name: TableWork) => send({ work: name })
  return { work, turns: () => work('turns') as Promise<LongestTurns> }
}

export async function startSubject(t: Test, { directory, config }: FullStore) {
  const { send, stop } = forkAsKeeper(t, SUBJECT)
  const wish = (wished: Wish) => send({ wish: wished }) as Promise<LongestTurns | null>
  const secret = randomBytes(16).toString('hex')
  const start: Start = { configFile: join(directory, 'sallyport.yaml'), edgeSecret: secret }
  await send({ start })

  const services = await connectServices(config.runtimeDirectory, 'cli:test')
  t.teardown(() => services.close())
  const sessions = new Map<string, Grant>()
  const over = (reason: 'revoked' | 'client-closed') => ({ reason, netInBytes: 0, netOutBytes: 0, durationMs: 0 })
  const gate = connectGate({
    path: join(config.runtimeDirectory, 'edge.sock'),
    key: edgeKey(new Secret(secret), 'edge-1.loop'),
    edgeId: 'edge-1.loop',
    ender: {
      end(id) {
        if (sessions.delete(id)) gate.ended(id, over('revoked'))
      },
    },
    liveSessions: () => [],
    log: captureLog().log,
  })
  t.teardown(() => gate.close())
  await gate.ready

  async function enter(user: string, password: string): Promise<Grant> {
    const grant = await gate.admit(attempt(user, password))
    gate.settle(grant.id, 'accepted')
    return grant
  }

  return {
    wish,
    /** Its store is free afterwards. */
    stop,
    call: services.call,
    sessions,

    async turns(): Promise<LongestTurns> {
      const turns = await wish({ turns: null })
      if (turns === null) throw new Error('the keeper counted no turns')
      return turns
    },

    async login(user: string, password: string): Promise<void> {
      const grant = await enter(user, password)
      gate.ended(grant.id, over('client-closed'))
    },

    /** Logs in and stays, so many times. */
    async stay(user: string, password: string, count: number): Promise<void> {
      await several(count, 16, async () => {
        const grant = await enter(user, password)
        sessions.set(grant.id, grant)
      })
    },

    async guess(user: string, password: string, options?: AttemptOptions): Promise<void> {
      try {
        await gate.admit(attempt(user, password, options))
      } catch (error) {
        if (error instanceof LoginFailure) return
        throw error
      }
      throw new Error('a guess was right')
    },
  }
}

/** So many times, and so many of them at once. */
export async function several(count: number, atOnce: number, work: (n: number) => Promise<unknown>): Promise<void> {
  let n = 0
  const worker = async () => {
    while (n < count) await work(n++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
