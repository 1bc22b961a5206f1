/**
 * A whole run: starts what is measured, warms it up, and measures it in interleaved rounds, so that whatever else the
 * machine does at some moment falls on everybody.
 */

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { PemPair } from '../../test/support/certificates.ts'
import { createCa } from '../../test/support/certificates.ts'
import type { Admission } from './admission.ts'
import { measureAdmission } from './admission.ts'
import { Generator, startSink, startStub } from './child.ts'
import { Lab } from './lab.ts'
import type { Options } from './options.ts'
import type { Sample, TestName } from './sample.ts'
import { UNITS } from './sample.ts'
import { startDovecotProxy } from './subjects/dovecot.ts'
import { startNginx } from './subjects/nginx.ts'
import type { Population } from './subjects/sallyport.ts'
import { copyPopulation, createPopulation, startSallyport } from './subjects/sallyport.ts'
import type { Setting, Subject, SubjectName } from './subjects/subject.ts'
import { Unavailable } from './subjects/subject.ts'

const LOGIN_TESTS: readonly TestName[] = [
  'login plain',
  'login TLS',
  'login TLS resumed',
  'login plain, new',
  'login TLS, new',
]
const FETCH_TESTS: readonly TestName[] = ['fetch plain', 'fetch TLS']
const SEND_TESTS: readonly TestName[] = [
  'send each plain',
  'send each TLS',
  'send kept plain',
  'send kept TLS',
  'send 20 MB plain',
  'send 20 MB TLS',
]
const IDLE_TESTS: readonly TestName[] = ['idle plain', 'idle TLS']
/** Before idle sessions are counted: enough to compile the code, few enough at once to leave memory as it was. */
const IDLE_WARM_UP = 2000
/** Compiled programs need less, but nginx's responder is one of ours and compiles while it runs. */
const PEER_WARM_UP_SHARE = 1 / 4
/** Where only fetches are measured. */
const FETCH_WARM_UP = 100

export interface Outcome {
  readonly samples: readonly Sample[]
  readonly admission: Admission | null
  readonly versions: Readonly<Partial<Record<SubjectName, string>>>
  /** What was left out, and why. */
  readonly skipped: readonly string[]
}

/** Runs the bench. What was started is on `stack`, for the caller to end in every case. */
export async function runPlan(
  options: Options,
  directory: string,
  stack: AsyncDisposableStack,
  say: (line: string) => void,
): Promise<Outcome> {
  const run = new Run(options, directory, stack, say)
  await run.prepare()
  return run.measure()
}

class Run {
  readonly #options: Options
  readonly #directory: string
  readonly #stack: AsyncDisposableStack
  readonly #say: (line: string) => void
  readonly #startedAt = performance.now()
  readonly #samples: Sample[] = []
  readonly #versions: Partial<Record<SubjectName, string>> = {}
  readonly #skipped: string[] = []
  readonly #absent = new Set<SubjectName>()
  #admission: Admission | null = null
  #lab: Lab | null = null
  #tls: PemPair | null = null
  #upstreamPort = 0
  #smtpUpstreamPort = 0
  #population: Population | null = null
  #directories = 0

  constructor(options: Options, directory: string, stack: AsyncDisposableStack, say: (line: string) => void) {
    this.#options = options
    this.#directory = directory
    this.#stack = stack
    this.#say = say
  }

  /** The bench's own processes, and a store full of users. */
  async prepare(): Promise<void> {
    const { scale, ours, parts } = this.#options
    this.#tls = await (await createCa('sallyport bench CA')).issue()
    const stub = this.#stack.use(await startStub())
    this.#upstreamPort = stub.port
    if (parts.includes('send')) this.#smtpUpstreamPort = this.#stack.use(await startSink()).port
    this.#lab = new Lab(this.#stack.use(await Generator.start()), scale)
    if (!ours) return
    const fresh = parts.includes('login') ? 2 * scale.rounds * scale.freshLogins : 0
    this.#say(`making ${fresh} app passwords`)
    this.#population = await createPopulation(this.#setting('population', 1), fresh)
  }

  async measure(): Promise<Outcome> {
    const { parts } = this.#options
    if (parts.some((part) => part === 'login' || part === 'fetch' || part === 'send')) await this.#rounds()
    if (parts.includes('idle')) await this.#idle()
    if (parts.includes('admission') && this.#options.ours) await this.#measureAdmission()
    return {
      samples: this.#samples,
      admission: this.#admission,
      versions: this.#versions,
      skipped: this.#skipped,
    }
  }

  async #rounds(): Promise<void> {
    const { scale, parts } = this.#options
    await using servers = new AsyncDisposableStack()
    this.#stack.defer(() => servers.disposeAsync())
    const subjects: Subject[] = []
    for (const workers of scale.workers) {
      for (const name of this.#names(parts.includes('fetch') || parts.includes('send'))) {
        const subject = await this.#start(name, workers, parts.includes('send'))
        if (subject) subjects.push(servers.use(subject))
      }
    }
    for (const subject of subjects) {
      const share = subject.name === 'sallyport' ? 1 : subject.name === 'nginx~tuned' ? 0 : PEER_WARM_UP_SHARE
      const logins = parts.includes('login') ? Math.ceil(scale.warmUpLogins * share) : FETCH_WARM_UP
      this.#say(`warming up ${nameOf(subject)}`)
      await this.#needLab().warmUp(subject, logins)
      if (parts.includes('fetch')) await this.#needLab().warmUpFetch(subject)
      if (parts.includes('send') && subject.smtpPorts && subject.name !== 'nginx~tuned') {
        const most = subject.name === 'sallyport' ? scale.warmUpLogins / 4 : scale.sentEach / 10
        await this.#needLab().warmUpSend(subject, Math.ceil(most))
      }
    }
    const tests = [
      ...(parts.includes('login') ? LOGIN_TESTS : []),
      ...(parts.includes('fetch') ? FETCH_TESTS : []),
      ...(parts.includes('send') ? SEND_TESTS : []),
    ]
    let longestMs = 0
    for (let round = 1; round <= scale.rounds; round++) {
      if (round > 1 && this.#elapsedMs() + longestMs > scale.budgetSeconds * 1000) {
        this.#skipped.push(`rounds from ${round} on: the time is used up`)
        break
      }
      const roundStartedAt = performance.now()
      for (const test of tests) {
        // Whoever is first in one round is last in the next.
        for (const subject of rotated(subjects, round)) await this.#one(subject, test, round)
      }
      longestMs = Math.max(longestMs, performance.now() - roundStartedAt)
    }
  }

  async #one(subject: Subject, test: TestName, round: number): Promise<void> {
    if (test.endsWith('new') && subject.freshAccounts === null) return
    if (test.startsWith('login') && subject.name === 'nginx~tuned') return
    if (test.startsWith('send') && subject.smtpPorts === null) return
    // The size of its buffer says nothing of messages that fit into any.
    if (/^send (each|kept)/.test(test) && subject.name === 'nginx~tuned') return
    const lab = this.#needLab()
    const measure = test.startsWith('login') ? lab.login : test.startsWith('send') ? lab.send : lab.fetch
    this.#record(await measure.call(lab, subject, test, round))
  }

  /** Each on a server of its own that was just started: memory once used is not given back. */
  async #idle(): Promise<void> {
    const { scale } = this.#options
    const workers = Math.max(...scale.workers)
    for (const test of IDLE_TESTS) {
      for (const name of this.#names(false)) {
        if (this.#elapsedMs() > scale.budgetSeconds * 1000) {
          this.#skipped.push(`${test} of ${name}: the time is used up`)
          continue
        }
        const started = await this.#start(name, workers, false)
        if (!started) continue
        await using server = new AsyncDisposableStack()
        this.#stack.defer(() => server.disposeAsync())
        const subject = server.use(started)
        await this.#needLab().warmUp(subject, Math.min(IDLE_WARM_UP, scale.warmUpLogins))
        this.#record(await this.#needLab().idle(subject, test, 1))
      }
    }
  }

  async #measureAdmission(): Promise<void> {
    const population = this.#population
    if (!population) return
    this.#say('credential check between an edge and the keeper')
    const { file, runtimeDirectory } = await copyPopulation(this.#setting('admission', 1), population)
    const { admissions } = this.#options.scale
    this.#admission = await measureAdmission(file, runtimeDirectory, population.accounts, admissions)
    const { edgeUs, keeperUs } = this.#admission
    this.#say(`admission: edge ${edgeUs.toFixed(0)} µs + keeper ${keeperUs.toFixed(0)} µs of CPU`)
  }

  #names(tuned: boolean): readonly SubjectName[] {
    const { peers, ours } = this.#options
    const names: SubjectName[] = ours ? ['sallyport'] : []
    if (peers.includes('nginx')) names.push('nginx', ...(tuned ? (['nginx~tuned'] as const) : []))
    if (peers.includes('dovecot')) names.push('dovecot')
    return names
  }

  /** null when it is not installed. */
  async #start(name: SubjectName, workers: number, sends: boolean): Promise<Subject | null> {
    if (this.#absent.has(name)) return null
    this.#say(`starting ${name}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`)
    const setting = this.#setting(name, workers, sends)
    try {
      const subject = await this.#launch(name, setting)
      this.#versions[name] = subject.version
      return subject
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error
      this.#absent.add(name)
      this.#skipped.push(`${name}: ${error.message}`)
      return null
    }
  }

  async #launch(name: SubjectName, setting: Setting): Promise<Subject> {
    switch (name) {
      case 'nginx':
        return startNginx(setting, '4k')
      case 'nginx~tuned':
        return startNginx(setting, '64k')
      case 'dovecot':
        return startDovecotProxy(setting)
      case 'sallyport':
        if (!this.#population) throw new Error('sallyport needs users')
        return startSallyport(setting, this.#population)
    }
  }

  #setting(name: string, workers: number, sends = false): Setting {
    const directory = join(this.#directory, `${++this.#directories}-${name}`)
    mkdirSync(directory, { recursive: true })
    if (!this.#tls) throw new Error('no certificate yet')
    return {
      directory,
      workers,
      upstreamPort: this.#upstreamPort,
      smtpUpstreamPort: sends ? this.#smtpUpstreamPort : null,
      tls: this.#tls,
      sessions: this.#options.scale.held,
    }
  }

  #record(sample: Sample): void {
    this.#samples.push(sample)
    const { test, subject, workers, round, figure, helper, errors } = sample
    const extra = helper > 0 ? ` (+${helper.toFixed(3)})` : ''
    const wrong = Object.entries(errors).map(([text, times]) => `, ${times} × ${text}`)
    this.#say(
      `round ${round}  ${test}  ${subject}, ${workers} w: ${figure.toFixed(3)}${extra} ${UNITS[test]}${wrong.join('')}`,
    )
  }

  #needLab(): Lab {
    if (!this.#lab) throw new Error('not prepared')
    return this.#lab
  }

  #elapsedMs(): number {
    return performance.now() - this.#startedAt
  }
}

const nameOf = (subject: Subject): string => `${subject.name}, ${subject.workers} w`

function rotated<T>(items: readonly T[], by: number): readonly T[] {
  const at = by % Math.max(1, items.length)
  return [...items.slice(at), ...items.slice(0, at)]
}
