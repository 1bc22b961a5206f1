/**
 * Checks across settings: what the declaration of single keys can't see. One function for each subject, in `checks/`.
 *
 * A problem refuses the configuration; a warning is something that works and that nobody should want without knowing.
 */

import type { Config } from '../config.ts'
import type { Check } from './checks/check.ts'
import { checkCertificates, checkListeners } from './checks/ports.ts'
import { checkDomains, checkNames, checkProtocolsServed, checkRoutes } from './checks/routing.ts'
import { checkRedis, checkUpstreams } from './checks/servers.ts'
import { checkClientSetup, checkMail, checkPortal, checkSignIn } from './checks/web.ts'
import type { Settings } from './schema.ts'
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
  checkListeners,
  checkCertificates,
  checkUpstreams,
  checkRedis,
  checkPortal,
  checkSignIn,
  checkMail,
  checkClientSetup,
  checkLimits,
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
  if (config.limits.idle < MIN_IDLE_MS) {
    warn(
      ['limits', 'idle'],
      'is below 30 minutes: clients waiting in IDLE will be cut off again and again (RFC 9051 §5.4)',
    )
  }
}
