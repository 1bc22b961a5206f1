/**
 * Installs the programs that tests and the demo put on the other side of sallyport, when it can: as root, by apt-get, on a
 * Debian. Otherwise it says what is missing and how to get it. No installed daemon is started.
 *
 * Run by itself: node scripts/services.ts [name…]
 */

import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs'
import { run } from '../test/support/program.ts'
import type { ServiceProgram } from '../test/support/services.ts'
import { findProgram, hasService, SERVICES } from '../test/support/services.ts'

const POLICY = '/usr/sbin/policy-rc.d'
const APT_TIMEOUT_MS = 8 * 60_000
const APT_ENVIRONMENT = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }

export interface EnsureResult {
  /** What is still not there. Empty: everything is. */
  readonly missing: readonly ServiceProgram[]
}

/** Makes sure that the named programs are installed. Never throws for one that can't be: it is in the answer. */
export async function ensureServices(
  names: readonly ServiceProgram[],
  say: (line: string) => void = (line) => console.log(line),
): Promise<EnsureResult> {
  let missing = names.filter((name) => !hasService(name))
  if (missing.length > 0 && process.getuid?.() === 0 && findProgram('apt-get') !== null) {
    await install(missing, say)
    missing = missing.filter((name) => !hasService(name))
  }
  if (missing.length > 0) {
    say(`not installed: ${missing.join(', ')}`)
    say(`  on Debian or Ubuntu: sudo apt-get install ${packagesOf(missing).join(' ')}`)
  }
  return { missing }
}

const packagesOf = (names: readonly ServiceProgram[]): string[] => names.flatMap((name) => [...SERVICES[name].packages])

async function install(names: readonly ServiceProgram[], say: (line: string) => void): Promise<void> {
  const packages = packagesOf(names)
  say(`installing ${packages.join(' ')} (apt-get; this can take a minute)`)
  const ours = !existsSync(POLICY)
  if (ours) {
    // Debian asks this file before it starts a daemon that it has just installed.
    writeFileSync(POLICY, '#!/bin/sh\nexit 101\n')
    chmodSync(POLICY, 0o755)
  }
  try {
    if (await apt('install', packages)) return
    say('  not in the package lists; fetching new ones (apt-get update)')
    await apt('update', [])
    if (await apt('install', packages)) return
    // One package that the archive does not have must not keep the others away.
    for (const name of names) {
      if (!(await apt('install', [...SERVICES[name].packages]))) say(`  ${name}: apt-get could not install it`)
    }
  } finally {
    if (ours) rmSync(POLICY, { force: true })
  }
}

async function apt(verb: 'install' | 'update', packages: readonly string[]): Promise<boolean> {
  const options = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=2']
  // Whoever has another mail server keeps it: a second one would take its place.
  const more = verb === 'install' ? ['--no-install-recommends', '--no-remove', '--', ...packages] : []
  const { status } = await run(findProgram('apt-get') ?? 'apt-get', [...options, verb, ...more], {
    env: APT_ENVIRONMENT,
    timeoutMs: APT_TIMEOUT_MS,
  })
  return status === 0
}

if (import.meta.main) {
  const known = Object.keys(SERVICES) as ServiceProgram[]
  const wanted = process.argv.slice(2)
  const unknown = wanted.filter((name) => !(known as string[]).includes(name))
  if (unknown.length > 0) {
    console.error(`unknown: ${unknown.join(', ')}; known are ${known.join(', ')}`)
    process.exit(2)
  }
  const names = wanted.length === 0 ? known : known.filter((name) => wanted.includes(name))
  const { missing } = await ensureServices(names)
  if (missing.length > 0) process.exit(69)
  console.log(`installed: ${names.join(', ')}`)
}
