/**
 * One measurement: read what the subject's processes have cost, let the generator do a job, read again.
 */

import { setTimeout as delay } from 'node:timers/promises'
import type { Generator } from './child.ts'
import type { Account, Job, JobResult } from './jobs.ts'
import { MESSAGE_BYTES, SMALL_MESSAGE_BYTES } from './jobs.ts'
import type { Scale } from './options.ts'
import type { CpuReading } from './process-tree.ts'
import { cpuBetween, processTree, readCpu, readPssKb } from './process-tree.ts'
import type { Sample, TestName } from './sample.ts'
import type { Subject } from './subjects/subject.ts'

/** As many logins at once as make no queue on two cores. */
const CONCURRENCY = 16
/** Clients that send small messages at the same time. */
const SENDERS = 8
/** What a login still costs after its connection is gone (a counter, a line of log) belongs to it. */
const AFTERMATH_MS = 250

type Roles = ReadonlyMap<string, CpuReading>

function readRoles(subject: Subject): Roles {
  const pids = new Map<string, number[]>()
  for (const pid of processTree(subject.pid)) {
    const role = subject.roleOf(pid)
    pids.set(role, [...(pids.get(role) ?? []), pid])
  }
  return new Map([...pids].map(([role, members]) => [role, readCpu(members)]))
}

function readHelper(subject: Subject): CpuReading {
  return readCpu(subject.helperPid === null ? [] : [subject.helperPid])
}

const NOTHING: CpuReading = { processes: 0, tickSeconds: 0, scheduledSeconds: 0 }

/** CPU seconds by role, of a job. */
async function costOf<T>(
  subject: Subject,
  work: () => Promise<T>,
): Promise<{ result: T; roles: Record<string, number>; helper: number; seconds: number }> {
  const before = readRoles(subject)
  const helperBefore = readHelper(subject)
  const result = await work()
  await delay(AFTERMATH_MS)
  const after = readRoles(subject)
  const helper = cpuBetween(helperBefore, readHelper(subject))
  const roles: Record<string, number> = {}
  for (const [role, reading] of after) roles[role] = cpuBetween(before.get(role) ?? NOTHING, reading)
  const seconds = Object.values(roles).reduce((sum, each) => sum + each, 0)
  return { result, roles, helper, seconds }
}

const scaled = (roles: Readonly<Record<string, number>>, factor: number): Record<string, number> =>
  Object.fromEntries(Object.entries(roles).map(([role, value]) => [role, value * factor]))

function difference(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]))
}

export class Lab {
  readonly #generator: Generator
  readonly #scale: Scale

  constructor(generator: Generator, scale: Scale) {
    this.#generator = generator
    this.#scale = scale
  }

  /** Logins and fetches that are not measured, until the subject's code is compiled and its caches are full. */
  async warmUp(subject: Subject, logins: number): Promise<void> {
    const jobs: readonly Job[] = [
      this.#login(subject, false, logins, subject.accounts),
      this.#login(subject, true, Math.ceil(logins / 5), subject.accounts),
      this.#login(subject, true, Math.ceil(logins / 10), subject.accounts, true),
    ]
    for (const job of jobs) refuseErrors(subject, await this.#generator.run(job))
  }

  async warmUpFetch(subject: Subject): Promise<void> {
    const fetches = Math.ceil(this.#scale.slowFetches / 2)
    for (const tls of [false, true]) {
      refuseErrors(subject, await this.#generator.run(this.#fetch(subject, tls, fetches)))
    }
  }

  /** @param messages sent on a connection each, and as many on connections that stay */
  async warmUpSend(subject: Subject, messages: number): Promise<void> {
    for (const tls of [false, true]) {
      for (const perConnection of [1, messages]) {
        refuseErrors(subject, await this.#generator.run(this.#sendSmall(subject, tls, messages, perConnection)))
      }
    }
  }

  async login(subject: Subject, test: TestName, round: number): Promise<Sample> {
    const tls = test.includes('TLS')
    const fresh = test.endsWith('new')
    const count = fresh ? this.#scale.freshLogins : tls ? this.#scale.tlsLogins : this.#scale.plainLogins
    const accounts = fresh ? (subject.freshAccounts?.(count) ?? []) : subject.accounts
    // New logins queue for the CPU in the keeper: fewer at once, as many as it has argon2 threads at most.
    const job = {
      ...this.#login(subject, tls, count, accounts, test.endsWith('resumed')),
      ...(fresh && { concurrency: 4 }),
    }
    return this.#measure(subject, test, round, job, (result) => result.done / 1000)
  }

  async fetch(subject: Subject, test: TestName, round: number): Promise<Sample> {
    const tls = test.endsWith('TLS')
    const fetches = tls && subject.name === 'dovecot' ? this.#scale.slowFetches : this.#scale.fetches
    return this.#measure(subject, test, round, this.#fetch(subject, tls, fetches), (result) => result.bytes / 1e9)
  }

  async send(subject: Subject, test: TestName, round: number): Promise<Sample> {
    const { sentEach, sentKept, sentBig } = this.#scale
    const tls = test.endsWith('TLS')
    if (test.startsWith('send 20 MB')) {
      const job = this.#send(subject, tls, sentBig, 4, sentBig, MESSAGE_BYTES)
      return this.#measure(subject, test, round, job, (result) => result.bytes / 1e9)
    }
    const job = test.startsWith('send each')
      ? this.#sendSmall(subject, tls, sentEach, 1)
      : this.#sendSmall(subject, tls, sentKept, sentKept)
    return this.#measure(subject, test, round, job, (result) => result.done / 1000)
  }

  /** Opens sessions on a subject that was just started and warmed up, and watches them do nothing. */
  async idle(subject: Subject, test: TestName, round: number): Promise<Sample> {
    const tls = test.endsWith('TLS')
    const { held, idleSeconds, settleMs, restMs } = this.#scale
    await delay(settleMs)
    const before = this.#memory(subject)
    const job: Job = {
      kind: 'hold',
      ...door(subject, tls),
      count: held,
      concurrency: CONCURRENCY,
      accounts: subject.accounts,
    }
    const opened = await this.#generator.run(job)
    await delay(settleMs)
    const after = this.#memory(subject)
    if (subject.name === 'sallyport') await delay(restMs)
    const { seconds } = await costOf(subject, () => delay(idleSeconds * 1000))
    const alive = await this.#generator.run({ kind: 'held' })
    await this.#generator.run({ kind: 'release' })
    const lost = opened.done - alive.done
    const roles = scaled(difference(before, after), 1 / Math.max(1, opened.done))
    return {
      ...blank(subject, test, round),
      figure: sum(roles),
      roles,
      done: opened.done,
      errors: lost > 0 ? { ...opened.errors, 'session ended while idle': lost } : opened.errors,
      wall: { seconds: opened.wallMs / 1000, p50Ms: opened.p50Ms, p99Ms: opened.p99Ms },
      idleCore: seconds / (idleSeconds + AFTERMATH_MS / 1000),
      startMb: sum(before) / 1000,
    }
  }

  async #measure(
    subject: Subject,
    test: TestName,
    round: number,
    job: Job,
    unitsOf: (result: JobResult) => number,
  ): Promise<Sample> {
    const countedBefore = await subject.verifications?.()
    const { result, roles, helper, seconds } = await costOf(subject, () => this.#generator.run(job))
    const counted = await subject.verifications?.()
    const units = Math.max(unitsOf(result), Number.MIN_VALUE)
    return {
      ...blank(subject, test, round),
      figure: seconds / units,
      helper: helper / units,
      roles: scaled(roles, 1 / units),
      done: result.done,
      errors: result.errors,
      wall: { seconds: result.wallMs / 1000, p50Ms: result.p50Ms, p99Ms: result.p99Ms },
      resumedShare: result.resumed / Math.max(1, result.done),
      verifications: counted && countedBefore ? difference(countedBefore, counted) : null,
    }
  }

  /** KB by role. */
  #memory(subject: Subject): Record<string, number> {
    const roles: Record<string, number> = {}
    for (const pid of processTree(subject.pid)) {
      const role = subject.roleOf(pid)
      roles[role] = (roles[role] ?? 0) + readPssKb([pid])
    }
    return roles
  }

  #login(subject: Subject, tls: boolean, count: number, accounts: readonly Account[], resume = false): Job {
    return { kind: 'login', ...door(subject, tls), count, concurrency: CONCURRENCY, accounts, resume }
  }

  #sendSmall(subject: Subject, tls: boolean, messages: number, perConnection: number): Job {
    return this.#send(subject, tls, messages, SENDERS, perConnection, SMALL_MESSAGE_BYTES)
  }

  #send(
    subject: Subject,
    tls: boolean,
    messages: number,
    connections: number,
    perConnection: number,
    octets: number,
  ): Job {
    const { smtpPorts, accounts } = subject
    if (smtpPorts === null) throw new Error(`${subject.name} takes no submissions`)
    const port = tls ? smtpPorts.tls : smtpPorts.plain
    return { kind: 'send', port, tls, messages, octets, connections, perConnection, accounts }
  }

  #fetch(subject: Subject, tls: boolean, fetches: number): Job {
    const account = subject.accounts[0]
    if (!account) throw new Error('a subject has no account')
    return { kind: 'fetch', ...door(subject, tls), fetches, connections: 4, account }
  }
}

const door = (subject: Subject, tls: boolean) => ({ port: tls ? subject.tlsPort : subject.plainPort, tls })
const sum = (values: Readonly<Record<string, number>>): number =>
  Object.values(values).reduce((total, each) => total + each, 0)

/** What most samples have in common. */
function blank(subject: Subject, test: TestName, round: number) {
  return {
    test,
    subject: subject.name,
    workers: subject.workers,
    round,
    helper: 0,
    resumedShare: 0,
    idleCore: null,
    startMb: null,
    verifications: null,
  }
}

function refuseErrors(subject: Subject, result: JobResult): void {
  const [error] = Object.entries(result.errors)
  if (error) throw new Error(`${subject.name}, ${subject.workers} workers, warm-up: ${error[1]} × ${error[0]}`)
}
