/**
 * The load generator: a process of its own that takes one job at a time from its parent and answers with a `JobResult`.
 */

import { once } from 'node:events'
import { Client } from './client.ts'
import type { Account, Job, JobResult } from './jobs.ts'
import { bigMessage, MESSAGE_BYTES } from './jobs.ts'
import { Sender } from './sender.ts'

/** Counts what a job does. */
class Tally {
  done = 0
  resumed = 0
  bytes = 0
  readonly #errors = new Map<string, number>()
  readonly #loginMs: number[] = []
  readonly #startedAt = performance.now()

  loggedIn(startedAt: number): void {
    this.#loginMs.push(performance.now() - startedAt)
  }

  failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error)
    this.#errors.set(text, (this.#errors.get(text) ?? 0) + 1)
  }

  result(): JobResult {
    const sorted = Float64Array.from(this.#loginMs).sort()
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
    return {
      done: this.done,
      errors: Object.fromEntries(this.#errors),
      wallMs: performance.now() - this.#startedAt,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      resumed: this.resumed,
      bytes: this.bytes,
    }
  }
}

type JobOf<K extends Job['kind']> = Extract<Job, { kind: K }>

const held: Client[] = []

/** Runs `step(n)` for n = 0 … count − 1, `concurrency` at once. */
async function spread(count: number, concurrency: number, step: (n: number) => Promise<void>): Promise<void> {
  let next = 0
  async function lane(): Promise<void> {
    while (next < count) await step(next++)
  }
  await Promise.all(Array.from({ length: concurrency }, lane))
}

function accountAt(accounts: readonly Account[], n: number): Account {
  const account = accounts[n % accounts.length]
  if (!account) throw new Error('a job needs accounts')
  return account
}

/** One full handshake, to get the ticket that the others offer. */
async function obtainTicket(port: number, account: Account): Promise<Buffer> {
  using client = new Client({ port, tls: true })
  const session = once(client.socket, 'session')
  await client.login(account)
  const [ticket] = (await session) as [Buffer]
  await client.logout()
  return ticket
}

async function login(job: JobOf<'login'>): Promise<JobResult> {
  const { port, tls } = job
  const session = job.resume ? await obtainTicket(port, accountAt(job.accounts, 0)) : undefined
  const tally = new Tally()
  await spread(job.count, job.concurrency, async (n) => {
    const startedAt = performance.now()
    using client = new Client({ port, tls, session })
    try {
      await client.login(accountAt(job.accounts, n))
      tally.loggedIn(startedAt)
      if (client.resumed) tally.resumed += 1
      await client.logout()
      tally.done += 1
    } catch (error) {
      tally.failed(error)
    }
  })
  return tally.result()
}

async function fetchMail(job: JobOf<'fetch'>): Promise<JobResult> {
  const { port, tls, account } = job
  const tally = new Tally()
  let left = job.fetches
  await spread(job.connections, job.connections, async () => {
    using client = new Client({ port, tls, bulk: true })
    try {
      await client.login(account)
      await client.select()
      while (left-- > 0) {
        await client.fetch()
        tally.bytes += MESSAGE_BYTES
        tally.done += 1
      }
      await client.logout()
    } catch (error) {
      tally.failed(error)
    }
  })
  return tally.result()
}

const message = bigMessage()

async function sendMail(job: JobOf<'send'>): Promise<JobResult> {
  const { port, tls, connections, perConnection } = job
  const content = message.subarray(0, job.octets)
  const tally = new Tally()
  let left = job.messages
  await spread(connections, connections, async (n) => {
    while (left > 0) {
      const startedAt = performance.now()
      using sender = new Sender(port, tls)
      try {
        await sender.login(accountAt(job.accounts, n))
        tally.loggedIn(startedAt)
        for (let here = perConnection; here > 0 && left > 0; here--) {
          left -= 1
          await sender.send(content)
          tally.bytes += content.length
          tally.done += 1
        }
        await sender.quit()
      } catch (error) {
        tally.failed(error)
        return
      }
    }
  })
  return tally.result()
}

async function hold(job: JobOf<'hold'>): Promise<JobResult> {
  const { port, tls } = job
  const tally = new Tally()
  await spread(job.count, job.concurrency, async (n) => {
    const startedAt = performance.now()
    const client = new Client({ port, tls })
    try {
      await client.login(accountAt(job.accounts, n))
      tally.loggedIn(startedAt)
      held.push(client)
      tally.done += 1
    } catch (error) {
      client[Symbol.dispose]()
      tally.failed(error)
    }
  })
  return tally.result()
}

function stillHeld(): JobResult {
  const tally = new Tally()
  tally.done = held.filter((client) => !client.socket.destroyed).length
  return tally.result()
}

async function release(): Promise<JobResult> {
  const clients = held.splice(0)
  const tally = new Tally()
  await spread(clients.length, 16, async (n) => {
    try {
      await clients[n]?.logout()
      tally.done += 1
    } catch (error) {
      tally.failed(error)
    }
  })
  return tally.result()
}

function run(job: Job): Promise<JobResult> {
  switch (job.kind) {
    case 'login':
      return login(job)
    case 'fetch':
      return fetchMail(job)
    case 'send':
      return sendMail(job)
    case 'hold':
      return hold(job)
    case 'held':
      return Promise.resolve(stillHeld())
    case 'release':
      return release()
  }
}

process.on('message', (job: Job) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ failed: error instanceof Error ? error.message : String(error) }),
  )
})
process.send?.({ ready: true })
process.once('disconnect', () => process.exit())
process.on('SIGINT', () => undefined)
