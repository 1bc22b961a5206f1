/**
 * sallyport itself, as an operator would start it: `scripts/sallyport serve`, a configuration file, the embedded store.
 *
 * Users and app passwords are made once, before the first start, and every server gets a copy of that store: an app password
 * that is new to one server is new to the other one, too.
 */

import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { freePort, waitForPort } from '../../../test/support/ports.ts'
import { Program, run } from '../../../test/support/program.ts'
import type { Account } from '../jobs.ts'
import { commandLine } from '../process-tree.ts'
import type { Setting, Subject } from './subject.ts'
import { DOMAIN, USERS } from './subject.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
const COMMAND = join(ROOT, 'scripts/sallyport')
const IMPORT_AT_ONCE = 200
/** As many as keep both cores busy with argon2. */
const CREATE_AT_ONCE = 4

interface Ports {
  readonly plain: number
  readonly tls: number
  readonly smtp: number
  readonly smtps: number
  readonly http: number
}

/** Shared by all servers of a run: a store, and who is in it. */
export interface Population {
  readonly directory: string
  readonly accounts: readonly Account[]
  /** App passwords that have never been used. */
  readonly fresh: readonly Account[]
}

function configText(setting: Omit<Setting, 'tls' | 'sessions'>, ports: Ports): string {
  const { directory, workers, upstreamPort, smtpUpstreamPort } = setting
  const sends = smtpUpstreamPort !== null
  return `dataDirectory: ${directory}/data
runtimeDirectory: ${directory}/run
domains: [${DOMAIN}]
store: { sqlite: sallyport.db }
tls: { certificates: [{ certFile: ${directory}/cert.pem, keyFile: ${directory}/key.pem }] }
listeners:
  - { protocol: imap, bind: 127.0.0.1, port: ${ports.plain}, tls: none }
  - { protocol: imap, bind: 127.0.0.1, port: ${ports.tls}, tls: implicit }
${sends ? `  - { protocol: smtp, bind: 127.0.0.1, port: ${ports.smtp}, tls: none }\n  - { protocol: smtp, bind: 127.0.0.1, port: ${ports.smtps}, tls: implicit }` : ''}
  - { protocol: http, bind: 127.0.0.1, port: ${ports.http}, serves: [health, metrics] }
upstreams:
  main:
    imap: { host: 127.0.0.1, port: ${upstreamPort}, tls: none }
${sends ? `    smtp: { host: 127.0.0.1, port: ${smtpUpstreamPort}, tls: none }` : ''}
    identity: { method: authzid, user: sallyport, passwordFile: ${directory}/master-password }
routes: [{ domain: ${DOMAIN}, upstream: main }]
limits: { connections: 100000, perAddress: 100000, perUser: 100000 }
throttle: { trustedNetworks: [127.0.0.0/8] }
workers: ${workers}
log: { level: error }
`
}

function writeSetting(setting: Setting, ports: Ports): string {
  const { directory } = setting
  for (const name of ['data', 'run']) mkdirSync(join(directory, name), { recursive: true, mode: 0o700 })
  writeFileSync(join(directory, 'cert.pem'), setting.tls.cert)
  writeFileSync(join(directory, 'key.pem'), setting.tls.key, { mode: 0o600 })
  writeFileSync(join(directory, 'master-password'), 'the bench itself\n', { mode: 0o600 })
  const file = join(directory, 'sallyport.yaml')
  writeFileSync(file, configText(setting, ports))
  return file
}

/** Makes the store with its users and app passwords, by the services that the command line calls. */
export async function createPopulation(setting: Setting, freshCount: number): Promise<Population> {
  const file = writeSetting(setting, { plain: 1, tls: 2, smtp: 3, smtps: 4, http: 5 })
  const { loadConfig } = await import('../../../src/config.ts')
  const { createLog } = await import('../../../src/log.ts')
  const { openServices } = await import('../../../src/app.ts')
  const { config } = await loadConfig({ path: file })
  const log = createLog({ level: 'error', version: 'bench', process: 'bench' })
  const { services, close } = await openServices(config, log, 'bench')
  try {
    const names = Array.from({ length: USERS + freshCount }, (_, n) => `user${n}@${DOMAIN}`)
    for (let at = 0; at < names.length; at += IMPORT_AT_ONCE) {
      const part = names.slice(at, at + IMPORT_AT_ONCE)
      const report = await services.call('user.import', { users: part.map((address, n) => ({ line: n + 1, address })) })
      if (report.added !== part.length) throw new Error(`only ${report.added} of ${part.length} users could be added`)
    }
    const accounts: Account[] = []
    let next = 0
    async function create(): Promise<void> {
      for (let n = next++; n < names.length; n = next++) {
        const user = names[n] ?? ''
        const { password } = await services.call('app-password.create', { user, name: 'bench' })
        accounts[n] = [user, password]
      }
    }
    await Promise.all(Array.from({ length: CREATE_AT_ONCE }, create))
    return {
      directory: setting.directory,
      accounts: accounts.slice(0, USERS),
      fresh: accounts.slice(USERS),
    }
  } finally {
    await close()
  }
}

/** `sallyport_verify_total{path="cache"} 12` → { cache: 12 } */
async function verifications(port: number): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const counts: Record<string, number> = {}
  for (const [, path = '', count] of text.matchAll(/^sallyport_verify_total\{[^}]*path="(\w+)"[^}]*\} (\d+)/gm)) {
    counts[path] = (counts[path] ?? 0) + Number(count)
  }
  return counts
}

/** A configuration with a copy of the store. */
export async function copyPopulation(
  setting: Setting,
  population: Population,
): Promise<{ readonly file: string; readonly ports: Ports; readonly runtimeDirectory: string }> {
  const ports: Ports = {
    plain: await freePort(),
    tls: await freePort(),
    smtp: await freePort(),
    smtps: await freePort(),
    http: await freePort(),
  }
  const file = writeSetting(setting, ports)
  cpSync(join(population.directory, 'data'), join(setting.directory, 'data'), { recursive: true })
  return { file, ports, runtimeDirectory: join(setting.directory, 'run') }
}

export async function startSallyport(setting: Setting, population: Population): Promise<Subject> {
  const { file, ports } = await copyPopulation(setting, population)
  const version = (await run(COMMAND, ['--version'])).output.trim()
  const program = new Program(COMMAND, ['serve', '--config', file], { group: true })
  try {
    const { smtp, smtps, ...always } = ports
    const open = [...Object.values(always), ...(setting.smtpUpstreamPort === null ? [] : [smtp, smtps])]
    for (const port of open) await waitForPort(port, { signal: program.ended })
  } catch (error) {
    await program.stop('SIGKILL')
    throw error
  }
  let used = 0
  return {
    name: 'sallyport',
    workers: setting.workers,
    version,
    plainPort: ports.plain,
    tlsPort: ports.tls,
    smtpPorts: setting.smtpUpstreamPort === null ? null : { plain: ports.smtp, tls: ports.smtps },
    pid: program.child.pid ?? 0,
    helperPid: null,
    accounts: population.accounts,
    freshAccounts: (count) => {
      const accounts = population.fresh.slice(used, used + count)
      if (accounts.length < count) throw new Error('no app passwords are left that never logged in')
      used += count
      return accounts
    },
    roleOf: (pid) => / internal-role (\w+)/.exec(commandLine(pid))?.[1] ?? 'supervisor',
    verifications: () => verifications(ports.http),
    // At once and the whole group: after a SIGTERM open sessions would have their grace.
    [Symbol.asyncDispose]: async () => void (await program.stop('SIGKILL')),
  }
}
