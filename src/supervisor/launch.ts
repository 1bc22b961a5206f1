/**
 * How a child is started: which flags, which environment, which limits.
 *
 * All but the keeper run under Node's permission model and can read the program and nothing else; they can write nothing, start
 * nothing and load no native addon. Their environment is built, not inherited. No child leaves a core dump, which would hold its memory.
 */

import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'

export type ChildRole = 'keeper' | 'edge' | 'https' | 'web'

export interface Launch {
  readonly execPath: string
  readonly execArgv: readonly string[]
  readonly modulePath: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** The folder that holds src/ (or what was built from it), node_modules and package.json. */
const PROGRAM = resolve(import.meta.dirname, '../..')
const SHELL = '/bin/sh'
/** All that may matter to how text and time are written. */
const ALWAYS_KEPT = [
  'TZ',
  'LANG',
  'LC_ALL',
  'LC_TIME',
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
]
/**
 * The keeper reads the configuration, so it needs what the configuration is made from. And as the only child that reads files
 * freely it can use code that was compiled before.
 */
const KEPT_FOR_KEEPER = /^(?:SALLYPORT_.*|RUNTIME_DIRECTORY|HOME|NODE_COMPILE_CACHE)$/
/** libuv's threads beyond those that argon2 keeps busy: for files and host names. */
const SPARE_THREADS = 4
/**
 * Where V8 puts new objects, in MB. On a machine with much memory it would grow to 128 MB in each process while people log
 * in, and never shrink: 15 KB for each of 5000 idle sessions. A login costs the same with 2 MB as with that.
 */
const YOUNG_MB = 4
/**
 * For glibc: one arena in which argon2's 19 MiB are used again and again. Left to itself it keeps such a block for every
 * thread that ever ran a hash (120 MB on two cores), or asks the kernel for it each time (10 ms of page faults).
 */
const MALLOC_FOR_HASHES: Readonly<Record<string, string>> = {
  MALLOC_ARENA_MAX: '1',
  MALLOC_MMAP_THRESHOLD_: String(64 * 1024 * 1024),
  MALLOC_TRIM_THRESHOLD_: String(128 * 1024 * 1024),
}

/**
 * @param env the environment to choose from
 * @param flags more flags for Node, for tests
 */
export function launchOf(role: ChildRole, env: NodeJS.ProcessEnv, flags: readonly string[] = []): Launch {
  const suffix = import.meta.filename.endsWith('.ts') ? '.ts' : '.js'
  const modulePath = join(PROGRAM, `${suffix === '.ts' ? 'src' : 'dist'}/main${suffix}`)
  const nodeFlags = [
    // SIGUSR1 would open a debugger.
    '--disable-sigusr1',
    `--max-semi-space-size=${YOUNG_MB}`,
    '--disable-warning=ExperimentalWarning',
    ...(role === 'keeper' ? [] : permissionFlags(modulePath)),
    ...flags,
  ]
  const kept: Record<string, string> = {}
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue
    if (ALWAYS_KEPT.includes(name) || (role === 'keeper' && KEPT_FOR_KEEPER.test(name))) kept[name] = value
  }
  if (role === 'keeper') {
    kept.UV_THREADPOOL_SIZE = env.UV_THREADPOOL_SIZE ?? String(availableParallelism() + SPARE_THREADS)
    for (const [name, value] of Object.entries(MALLOC_FOR_HASHES)) kept[name] = env[name] ?? value
  }
  const args = ['internal-role', role]
  // Node has no setrlimit. Where there is a shell, it sets the limit and becomes the child; the container image, which has
  // none, and the systemd unit set it from outside (LimitCORE=0).
  return existsSync(SHELL)
    ? {
        execPath: SHELL,
        execArgv: ['-c', 'ulimit -c 0; exec "$0" "$@"', process.execPath, ...nodeFlags],
        modulePath,
        args,
        env: kept,
      }
    : { execPath: process.execPath, execArgv: nodeFlags, modulePath, args, env: kept }
}

function permissionFlags(modulePath: string): string[] {
  const readable = [resolve(modulePath, '..'), join(PROGRAM, 'node_modules'), join(PROGRAM, 'package.json')]
  return ['--permission', ...readable.map((path) => `--allow-fs-read=${path}`)]
}

/** Starts the child. Its log lines go where ours go. */
export function start({ execPath, execArgv, modulePath, args, env }: Launch): ChildProcess {
  return fork(modulePath, [...args], {
    execPath,
    execArgv: [...execArgv],
    env: { ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}
