/**
 * An edge's launch without what the test runner puts into every process that its tests start: its hooks need files that an
 * edge can't read.
 */

import type { ChildProcess } from 'node:child_process'
import type { Launch } from '../../src/supervisor/launch.ts'
import { start } from '../../src/supervisor/launch.ts'

const UNHOOK = "unset NODE_OPTIONS $(env | sed -n 's/^\\(_*TAP[A-Za-z_]*\\)=.*/\\1/p');"

/** Starts the child just as `start` does; the launch has to be one that goes through a shell. */
export function startUnhooked(launch: Launch): ChildProcess {
  const [flag, script, ...rest] = launch.execArgv
  if (flag !== '-c' || script === undefined) throw new Error('this launch goes through no shell')
  return start({ ...launch, execArgv: [flag, `${UNHOOK} ${script}`, ...rest] })
}
