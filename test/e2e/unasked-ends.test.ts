/**
 * Sessions that no command ends, on the real thing: two workers, Dovecot for IMAP and POP3, Postfix for SMTP. An app password
 * that runs out, and what SIGHUP takes away: within a second (M2), with who, why and how many in the audit trail.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { startDovecot } from '../support/dovecot.ts'
import { enter, lives, MAIL_PROTOCOLS } from '../support/mail-client.ts'
import type { ScriptedPeer } from '../support/peer.ts'
import { freePort } from '../support/ports.ts'
import { canRunPostfix, saslListener, startPostfix } from '../support/postfix.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { masterPasswordFile, startSallyport, upstreamOf } from '../support/sallyport.ts'
import { plainPassword } from '../support/secrets.ts'

const ANN = 'ann@example.org'
const BOB = 'bob@other.test'
/** M2 says a second. The machine may be busy, and nothing else would end these sessions. */
const SOON_MS = 10_000

type Settings = Record<string, unknown> & { routes: { domain: string; upstream: string }[]; domains: string[] }

interface Entry {
  readonly event: string
  readonly actor: string
  readonly user: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

t.setTimeout(240_000)

t.test('M2, B8: sessions that no command ends', async (t) => {
  if (!canRunPostfix(t)) return
  const saslPort = await freePort()
  const users = { [ANN]: plainPassword(), [BOB]: plainPassword() }
  await using dovecot = await startDovecot({ users, extra: saslListener(saslPort) })
  await using postfix = await startPostfix(dovecot, saslPort)
  const smtp = { port: postfix.ports.submissions, caFile: postfix.caFile }
  const upstream = upstreamOf(dovecot, masterPasswordFile(dovecot), { pop3: {}, smtp })
  await using gate = await startSallyport({
    domains: ['example.org', 'other.test'],
    upstreams: { main: upstream, second: upstream },
    settings: {
      routes: [
        { domain: 'example.org', upstream: 'main' },
        { domain: 'other.test', upstream: 'second' },
      ],
      groups: { scanners: {} },
    },
  })
  for (const user of [ANN, BOB]) await gate.addUser(user)
  await t.test('an app password runs out', (t) => runsOut(t, gate))
  await t.test('reload: a group may not any more', (t) =>
    reloaded(t, gate, [ANN], (settings) => ({
      ...settings,
      groups: { scanners: { appPasswords: { allowed: false } } },
    })),
  )
  await t.test('reload: a domain is taken out', (t) =>
    reloaded(t, gate, [BOB], (settings) => ({
      ...settings,
      domains: ['example.org'],
      routes: settings.routes.filter(({ domain }) => domain === 'example.org'),
    })),
  )
  await t.test('reload: an upstream is taken out, its users are sent to another', (t) =>
    reloaded(t, gate, [BOB], (settings) => ({
      ...settings,
      upstreams: { main: upstream },
      routes: settings.routes.map(({ domain }) => ({ domain, upstream: 'main' })),
    })),
  )
  await t.test('reload: nobody may', (t) =>
    reloaded(t, gate, [ANN, BOB], (settings) => ({ ...settings, appPasswords: { allowed: false } })),
  )
  await t.test('what is measured: sallyport_revocation_seconds', async (t) => {
    const counted = /^sallyport_revocation_seconds_count (\d+)$/m.exec(await gate.metrics())
    t.equal(Number(counted?.[1]), 3 + 3 + 3 + 3 + 6)
  })
  t.same(gate.lines('bug'), [])
})

/** One session in each protocol. */
async function openAll(gate: Sallyport, user: string, password: string): Promise<ScriptedPeer[]> {
  return Promise.all(MAIL_PROTOCOLS.map((protocol) => enter(gate, protocol, user, password)))
}

async function allLive(peers: readonly ScriptedPeer[]): Promise<boolean> {
  const all = await Promise.all(MAIL_PROTOCOLS.map(async (protocol, i) => peers[i] && lives(peers[i], protocol)))
  return all.every(Boolean)
}

/** Hangs up, and waits until the keeper knows: what it has to end itself is counted. */
async function leave(gate: Sallyport, user: string, peers: readonly ScriptedPeer[]): Promise<void> {
  for (const { socket } of peers) socket.destroy()
  while ((await gate.json<unknown[]>(['session', 'list', '--user', user])).length > 0) await delay(20)
}

/** The entries about ended sessions since the one numbered `after`, once there are any. */
async function endings(gate: Sallyport, user: string | null, seen: number): Promise<readonly Entry[]> {
  const about = user === null ? [] : ['--user', user]
  for (let tries = 0; tries < 100; tries++) {
    const all = await gate.json<Entry[]>(['audit', ...about])
    const found = all.filter(({ event }) => event === 'sessions_ended').slice(seen)
    if (found.length > 0) return found
    await delay(100)
  }
  return []
}

async function runsOut(t: Test, gate: Sallyport): Promise<void> {
  const lasting = await gate.createAppPassword(ANN, 'lasts')
  const short = await gate.createAppPassword(ANN, 'runs out')
  const doomed = await openAll(gate, ANN, short.password)
  const others = await openAll(gate, ANN, lasting.password)
  t.ok(await allLive(doomed))
  await gate.json(['app-password', 'update', short.id, '--expires', '1s'])
  const { expiresAt } = await gate.json<{ expiresAt: string }>(['app-password', 'show', short.id])
  const ends = await Promise.all(doomed.map((peer) => peer.untilClosed().then(() => Date.now())))
  const lateMs = Math.max(...ends) - Date.parse(expiresAt)
  t.ok(lateMs >= 0 && lateMs < SOON_MS, `all three were cut ${lateMs} ms after it ran out`)
  t.ok(await allLive(others), 'the other app password’s sessions go on')
  t.match(await endings(gate, ANN, 0), [
    { actor: 'system', user: ANN, detail: { why: 'expired', count: 3, appPassword: short.id } },
  ])
  await leave(gate, ANN, others)
  await gate.json(['app-password', 'delete', lasting.id, '--yes'])
}

/** Opens sessions of both, reloads what `change` makes of the settings, and puts the old settings back. */
async function reloaded(
  t: Test,
  gate: Sallyport,
  hit: readonly string[],
  change: (settings: Settings) => object,
): Promise<void> {
  const devices = new Map<string, { id: string; password: string }>()
  const open = new Map<string, ScriptedPeer[]>()
  await gate.json(['user', 'set-groups', ANN, '--group', 'scanners'])
  for (const user of [ANN, BOB]) {
    const device = await gate.createAppPassword(user, 'phone')
    devices.set(user, device)
    open.set(user, await openAll(gate, user, device.password))
  }
  const seen = (await gate.json<Entry[]>(['audit'])).filter(({ event }) => event === 'sessions_ended').length
  const before = readFileSync(gate.configFile, 'utf8')
  writeFileSync(gate.configFile, JSON.stringify(change(JSON.parse(before) as Settings)))

  const mark = gate.mark()
  const doomed = hit.flatMap((user) => open.get(user) ?? [])
  const gone = Promise.all(doomed.map((peer) => peer.untilClosed().then(() => Date.now())))
  process.kill(gate.pid, 'SIGHUP')
  const line = await gate.waitForLog('config_reloaded', undefined, mark)
  const lateMs = Math.max(...(await gone)) - Date.parse(String(line.time))
  t.ok(lateMs < SOON_MS, `all ${doomed.length} were cut ${lateMs} ms after the reload was done`)
  t.same(
    (await endings(gate, null, seen)).map(({ actor, user, detail }) => ({ actor, user, ...detail })),
    [{ actor: 'system', user: null, why: 'configuration', count: doomed.length }],
  )
  for (const [user, peers] of open) {
    if (!hit.includes(user)) t.ok(await allLive(peers), `${user}: nothing happened to these`)
    await leave(gate, user, peers)
  }

  writeFileSync(gate.configFile, before)
  const again = gate.mark()
  process.kill(gate.pid, 'SIGHUP')
  await gate.waitForLog('config_reloaded', undefined, again)
  for (const { id } of devices.values()) await gate.json(['app-password', 'delete', id, '--yes'])
}
