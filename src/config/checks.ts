/**
 * Checks across settings: what the declaration of single keys can't see. One function for each subject, in `checks/`.
 *
 * A problem refuses the configuration; a warning is something that works and that nobody should want without knowing.
 */

import type { Config } from '../config.ts'
import type { Check } from './checks/check.ts'
import { checkCertificates, checkListeners } from './checks/ports.ts'
import { checkDomains, checkNames, checkProtocolsServed, checkRoutes, checkSomethingServed } from './checks/routing.ts'
import { checkRedis, checkUpstreams } from './checks/servers.ts'
import { checkClientSetup, checkMail, checkPortal, checkSignIn } from './checks/web.ts'
import type { Settings } from './schema.ts'
import { isNearlyEverybody } from './units.ts'
import type { PathProblem } from './wording.ts'

export interface Checked {
  readonly problems: readonly PathProblem[]
  readonly warnings: readonly PathProblem[]
}

const CHECKS: readonly ((check: Check) => void)[] = [
  checkDomains,
  checkNames,
  checkRoutes,
  checkProtocolsServed,
  checkSomethingServed,
  checkListeners,
  checkCertificates,
  checkUpstreams,
  checkRedis,
  checkPortal,
  checkSignIn,
  checkMail,
  checkClientSetup,
  checkDirectories,
  checkLimits,
  checkThrottle,
]

export function checkConfig(config: Config, written: Settings): Checked {
  const problems: PathProblem[] = []
  const warnings: PathProblem[] = []
  const check: Check = {
    config,
    written,
    refuse: (path, message) => problems.push({ path, atKey: null, message }),
    warn: (path, message) => warnings.push({ path, atKey: null, message }),
  }
  for (const run of CHECKS) run(check)
  return { problems, warnings }
}

/** Nothing can be kept there, whoever we are. Of /dev only /dev/shm holds files of others. */
const OF_THE_SYSTEM = /^(\/(?:proc|sys|dev(?!\/shm(?:\/|$))))(?:\/|$)/

function checkDirectories({ config, refuse }: Check): void {
  const places: readonly (readonly [path: string, key: readonly string[]])[] = [
    [config.dataDirectory, ['dataDirectory']],
    [config.runtimeDirectory, ['runtimeDirectory']],
    [config.keys.file, ['keys', 'file']],
    ...('sqlite' in config.store ? [[config.store.sqlite, ['store', 'sqlite']] as const] : []),
  ]
  for (const [path, key] of places) {
    // What follows from the data directory was told of with it.
    if (key[0] !== 'dataDirectory' && path.startsWith(`${config.dataDirectory}/`)) continue
    const [, directory] = OF_THE_SYSTEM.exec(path) ?? []
    if (directory !== undefined)
      refuse(key, `is in ${directory}, which the system keeps for itself: name a directory such as /var/lib/sallyport`)
  }
}

/** A unix socket's path has room for 107 bytes; the longest name we put into the directory has 24. */
const MAX_RUNTIME_DIRECTORY_BYTES = 107 - 25
/** RFC 9051 §5.4. */
const MIN_IDLE_MS = 30 * 60_000

function checkLimits({ config, refuse, warn }: Check): void {
  if (Buffer.byteLength(config.runtimeDirectory) > MAX_RUNTIME_DIRECTORY_BYTES) {
    refuse(
      ['runtimeDirectory'],
      `is too long for sockets (${config.runtimeDirectory}): name one with at most ${MAX_RUNTIME_DIRECTORY_BYTES} bytes, such as /run/sallyport`,
    )
  }
  if (config.limits.perAddress >= config.limits.connections) {
    warn(['limits', 'perAddress'], 'is not below limits.connections: one address may take all of them')
  }
  if (config.limits.idle < MIN_IDLE_MS) {
    warn(
      ['limits', 'idle'],
      'is below 30 minutes: clients waiting in IDLE will be cut off again and again (RFC 9051 §5.4)',
    )
  }
}

/** Threat B2: whose address is not counted may guess at one user after the other. */
function checkThrottle({ config, warn }: Check): void {
  const { delays } = config.throttle
  if (delays.some((delay, index) => delay < (delays[index - 1] ?? 0)))
    warn(['throttle', 'delays'], 'becomes shorter: whoever guesses more would wait for less')
  for (const [index, block] of config.throttle.trustedNetworks.entries()) {
    if (!isNearlyEverybody(block)) continue
    warn(
      ['throttle', 'trustedNetworks', index],
      'is nearly everybody, whose addresses are then not counted: whoever guesses at many users is not slowed down any more; name your own networks, such as 10.0.0.0/8',
    )
  }
}
