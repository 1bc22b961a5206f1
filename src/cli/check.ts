/**
 * `sallyport check` (M15): which step of which hop fails, and what to do about it.
 */

import type { Config } from '../config.ts'
import { problemText } from '../config.ts'
import type { Services } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import { upstreamOf } from '../keeper/upstream/routes.ts'
import { checkCertificates, checkListeners, judgeHealth } from './check/local.ts'
import type { CheckIdentity } from './check/login.ts'
import type { Step } from './check/report.ts'
import { bad, good, Report } from './check/report.ts'
import type { CheckedProtocol } from './check/upstream.ts'
import { CHECKED_PROTOCOLS, checkUpstream, identityKey, STEP_MS } from './check/upstream.ts'
import type { Context } from './context.ts'
import { asCliError, EXIT } from './failure.ts'
import type { Define } from './index.ts'
import { plain, printJson } from './output.ts'

export const check: Define = (command, run) => {
  command
    .description('Try every hop step by step, and say in words which step fails and what to do.')
    .option('--user <address>', 'also log in upstream as this user')
    .addHelpText(
      'after',
      `
Steps: configuration, certificates, store, keys, Redis, own listeners, and for each upstream host: name, connection, TLS,
greeting, STARTTLS, capabilities; with --user the login and the capabilities after it. ActiveSync is asked by OPTIONS,
with --user as that user as well. Exit code 1 when a step fails.
With --json: [{"hop","step","ok","detail","advice"}].

Examples:
  sallyport check
  sallyport check --user ann@example.org`,
    )
    .action(run<[], { user?: string }>((context, _, { user }) => checkAll(context, user ?? null)))
}

async function checkAll(context: Context, user: string | null): Promise<number> {
  const report = new Report((step, isNewHop) => {
    if (!context.json) context.io.stdout.write(textOf(step, isNewHop))
  })
  // A configuration that can't be read ends everything, with exit code 78.
  const { config, file, warnings } = await context.loadConfig()
  report.add('configuration', 'read', good(file))
  for (const warning of warnings)
    report.add(
      'configuration',
      'warning',
      good(problemText({ ...warning, file: null }), 'It works; change it unless you mean it.'),
    )
  await checkCertificates(report, config)
  const found = await checkKeeper(context, report, config, user)
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const here = (identity: CheckIdentity | null) => (identity?.upstream === name ? identity : null)
    const { imap, pop3, smtp, eas } = found
    const identities = { imap: here(imap), pop3: here(pop3), smtp: here(smtp), eas: here(eas) }
    await checkUpstream(report, { name, upstream, identities, timeoutMs: STEP_MS })
  }
  if (context.json) await printJson(context.io, report.steps)
  else context.io.stdout.write(report.ok ? '\nEverything answers as it should.\n' : `\n${summary(report.steps)}\n`)
  return report.ok ? EXIT.ok : EXIT.failed
}

type Identities = Readonly<Record<CheckedProtocol, CheckIdentity | null>>
const NONE: Identities = { imap: null, pop3: null, smtp: null, eas: null }

/** Store, keys, Redis, own listeners; and how to log in as the user. Failures are steps like others. */
async function checkKeeper(context: Context, report: Report, config: Config, user: string | null): Promise<Identities> {
  try {
    return await context.withServices(async (services, running) => {
      judgeHealth(report, await services.call('health', {}), running, config)
      await checkListeners(report, config, running, STEP_MS, (address) => isUser(services, address))
      return user === null ? NONE : await identitiesOf(report, config, services, user)
    })
  } catch (error) {
    const failure = asCliError(error)
    if (failure === null) throw error
    const hop = failure.code.startsWith('ERR_KEYS') ? 'keys' : 'store'
    report.add(
      hop,
      'open',
      bad(
        failure.message,
        failure.exit === 'not-permitted'
          ? 'Run this as the user that the server runs as, or as root.'
          : 'The message says what to do; the rest is tried without.',
      ),
    )
    return NONE
  }
}

/** How to log in as the user by each protocol that the user's upstream speaks. What can't be said is a step that failed. */
async function identitiesOf(report: Report, config: Config, services: Services, user: string): Promise<Identities> {
  const found = { ...NONE }
  /** What the keeper said → the key that it is about. Once: protocols that share an identity share what is wrong with it. */
  const failures = new Map<string, string | null>()
  const hop = `user ${plain(user)}`
  try {
    const { address } = await services.call('user.show', { address: user })
    const name = upstreamOf(config, address)
    const upstream = name !== null && Object.hasOwn(config.upstreams, name) ? config.upstreams[name] : undefined
    for (const protocol of CHECKED_PROTOCOLS) {
      if (upstream && upstream[protocol] === null) continue
      try {
        found[protocol] = await services.call('check.identity', { protocol, user })
      } catch (error) {
        if (!(error instanceof ServiceError)) throw error
        const key = name !== null && upstream ? identityKey(name, upstream, protocol) : null
        if (!failures.has(error.message)) failures.set(error.message, key)
      }
    }
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code === 'unavailable') throw error
    const advice = 'Add the user first (sallyport user add), or check with one who is there.'
    report.add(hop, 'route and identity', bad(error.message, advice))
    return found
  }
  const upstreams = new Set(Object.values(found).flatMap((identity) => identity?.upstream ?? []))
  if (upstreams.size > 0) report.add(hop, 'route and identity', good(`goes to upstream ${[...upstreams].join(', ')}`))
  for (const [message, key] of failures) {
    const advice = key === null ? 'See routes and upstreams in the configuration.' : `See ${key} in the configuration.`
    report.add(hop, 'route and identity', bad(message, advice))
  }
  return found
}

async function isUser(services: Services, address: string): Promise<boolean> {
  try {
    await services.call('user.show', { address })
    return true
  } catch (error) {
    if (error instanceof ServiceError && error.code === 'not-found') return false
    throw error
  }
}

function textOf({ hop, step, ok, detail, advice }: Step, isNewHop: boolean): string {
  const mark = ok ? (advice === null ? 'ok  ' : 'note') : 'FAIL'
  const head = isNewHop ? `${plain(hop)}\n` : ''
  const hint = advice === null ? '' : `        → ${plain(advice)}\n`
  return `${head}  ${mark}  ${step}: ${plain(detail)}\n${hint}`
}

function summary(steps: readonly Step[]): string {
  const failed = steps.filter(({ ok }) => !ok)
  return failed.map(({ hop, step }) => `FAILED: ${plain(hop)}: ${step}`).join('\n')
}
