/**
 * npm test: servers that tests need, type check, lint, import check, all tests, and a search for secrets in everything that
 * was printed.
 *
 *     npm test                     everything
 *     npm test -- test/e2e/*.ts    only these files, without the checks
 *
 * The last line is `N passed, N failed`, with `, N skipped` when something was. Assertions are counted, and each check as one.
 * With SALLYPORT_REQUIRE_SERVICES=1 nothing that needs a server is skipped: it fails.
 *
 * A test file is a program that prints TAP; it is run as `node file`, two at a time. The `tap` command would do that too, but
 * it puts hooks of its own into every process that a test starts, which is not what sallyport is in production (and what the
 * permission model of an edge refuses).
 */

import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { COMPILE_CACHE } from '../test/support/compile-cache.ts'
import type { ServiceProgram } from '../test/support/services.ts'
import { SERVICES } from '../test/support/services.ts'
import { createSecretScan } from './secret-scan.ts'
import { ensureServices } from './services.ts'
import { createTapReport } from './tap-report.ts'

const ROOT = resolve(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
/**
 * Measured on two cores: three at a time are done a tenth earlier, and each takes half as long again, which brings every limit of
 * time in it nearer.
 */
const JOBS = 2
/** The whole run; CI gives it no more. */
const LIMIT_MS = 19 * 60_000
/** One test file: it gives up by itself after this many seconds, and is ended a little later. */
const FILE_LIMIT_S = 240
/**
 * What takes longest goes first, so that no long one is left for the end: folders whose files start servers, and files beside
 * them. Behind these there are a hundred files of a few seconds.
 */
const SLOW = ['e2e', 'processes', 'bench.smoke.test.ts', 'cli', 'keeper']

const startedAt = performance.now()
const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`
const counts = { passed: 0, failed: 0, skipped: 0 }
const failures: string[] = []

const workspace = mkdtempSync(join(tmpdir(), 'sp-test-'))
/** Everything printed by the checks and the tests; the logs of processes under test are files beside it. */
const transcript = join(workspace, 'printed.txt')
const logs = join(workspace, 'logs')
const secretsFile = join(workspace, 'secrets')
mkdirSync(logs)
for (const file of [transcript, secretsFile]) writeFileSync(file, '', { mode: 0o600 })

const environment: NodeJS.ProcessEnv = {
  ...process.env,
  ...COMPILE_CACHE,
  PATH: `${BIN}:${process.env.PATH ?? ''}`,
  TAP_TIMEOUT: String(FILE_LIMIT_S),
  SALLYPORT_TEST_SECRETS: secretsFile,
  SALLYPORT_TEST_LOGS: logs,
}
// What a person has set up for a server of their own must not reach the servers under test.
for (const name of Object.keys(environment)) {
  if (name.startsWith('SALLYPORT_') && !name.startsWith('SALLYPORT_TEST_') && name !== 'SALLYPORT_REQUIRE_SERVICES') {
    delete environment[name]
  }
}

function say(line: string): void {
  appendFileSync(transcript, `${line}\n`)
  console.log(line)
}

function fail(name: string): void {
  counts.failed += 1
  failures.push(name)
}

const running = new Set<ChildProcess>()

interface Output {
  stdout(chunk: Buffer): void
  stderr(chunk: Buffer): void
}

/** Runs a program to its end, its output kept for the search. Answers null for status 0, else how it ended. */
function finished(file: string, argv: readonly string[], output: Output, limitMs = LIMIT_MS): Promise<string | null> {
  return new Promise((done) => {
    const child = spawn(file, argv, { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    const kept: Buffer[] = []
    const take = (to: (chunk: Buffer) => void) => (chunk: Buffer) => {
      kept.push(chunk)
      to(chunk)
    }
    child.stdout.on('data', take(output.stdout))
    child.stderr.on('data', take(output.stderr))
    const timers = [
      setTimeout(() => child.kill('SIGTERM'), limitMs),
      setTimeout(() => child.kill('SIGKILL'), limitMs + 5_000),
    ]
    const end = (how: string | null): void => {
      running.delete(child)
      for (const timer of timers) clearTimeout(timer)
      appendFileSync(transcript, Buffer.concat(kept))
      done(how)
    }
    child.once('error', (error) => end(error.message))
    child.once('close', (code, signal) => end(code === 0 ? null : (signal ?? `status ${code}`)))
  })
}

async function check(name: string, file: string, argv: readonly string[]): Promise<void> {
  const since = performance.now()
  const output: Buffer[] = []
  const keep = (chunk: Buffer): unknown => output.push(chunk)
  if ((await finished(file, argv, { stdout: keep, stderr: keep })) === null) {
    counts.passed += 1
    say(`ok   ${name} (${seconds(since)})`)
    return
  }
  fail(name)
  say(`FAIL ${name} (${seconds(since)})`)
  console.log(Buffer.concat(output).toString().trimEnd().split('\n').slice(0, 200).join('\n'))
}

async function testFile(file: string): Promise<void> {
  const since = performance.now()
  const report = createTapReport(file, say)
  const how = await finished(
    process.execPath,
    [file],
    { stdout: (chunk) => report.write(chunk), stderr: (chunk) => process.stderr.write(chunk) },
    (FILE_LIMIT_S + 15) * 1000,
  )
  await report.end(how)
  const { passed, failed, skipped } = report.counts
  counts.passed += passed
  counts.failed += failed
  counts.skipped += skipped
  failures.push(...report.failures)
  const more = `${failed > 0 ? `, ${failed} failed` : ''}${skipped > 0 ? `, ${skipped} skipped` : ''}`
  say(`${failed > 0 ? 'FAIL' : 'ok  '} ${file}: ${passed} passed${more} (${seconds(since)})`)
}

async function tests(named: readonly string[]): Promise<void> {
  const all = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => join('test', file))
  const rank = (file: string): number => (SLOW.indexOf(file.split('/')[1] ?? '') + SLOW.length + 1) % (SLOW.length + 1)
  const queue = named.length > 0 ? [...named] : all.sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
  const worker = async (): Promise<void> => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) await testFile(file)
  }
  await Promise.all(Array.from({ length: JOBS }, worker))
}

/** Invariant 5, over the whole run: nothing that was printed holds a secret that a test used. */
function searchSecrets(): void {
  const secrets = [...new Set(readFileSync(secretsFile, 'utf8').split('\n'))].filter((secret) => secret !== '')
  const scan = createSecretScan(secrets)
  const texts = [transcript, ...readdirSync(logs).map((name) => join(logs, name))]
  const name = `no secret printed (${secrets.length} secrets, ${texts.length} outputs)`
  const hits = texts.flatMap((file) => scan(readFileSync(file, 'utf8')).map((hit) => ({ file, ...hit })))
  if (hits.length === 0) {
    counts.passed += 1
    say(`ok   ${name}`)
    return
  }
  fail(name)
  say(`FAIL ${name}`)
  for (const hit of hits.slice(0, 20)) {
    say(`     ${relative(workspace, hit.file)}:${hit.line}, secret ${hit.secret} ${hit.form}: ${hit.excerpt}`)
  }
  if (hits.length > 20) say(`     and ${hits.length - 20} more`)
}

function finish(): never {
  rmSync(secretsFile, { force: true })
  if (failures.length > 0) {
    console.log('\nfailed, out of everything above:')
    for (const name of failures) console.log(`  ${name}`)
    console.log(`outputs are kept in ${workspace}`)
  } else rmSync(workspace, { recursive: true, force: true })
  console.log(`\ntook ${seconds(startedAt)}`)
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
  console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)
  process.exit(counts.failed > 0 ? 1 : 0)
}

function giveUp(why: string): void {
  for (const child of running) child.kill('SIGTERM')
  fail(why)
  finish()
}

const named = process.argv.slice(2).map((file) => relative(ROOT, resolve(file)))
const options = process.argv.slice(2).filter((arg) => arg.startsWith('-'))
if (options.length > 0) {
  rmSync(workspace, { recursive: true, force: true })
  console.error(`unknown option ${options.join(' ')}; usage: npm test [-- file…]`)
  process.exit(2)
}
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.once(signal, () => giveUp(`stopped by ${signal}`))
setTimeout(() => giveUp(`not done after ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref()

await ensureServices(Object.keys(SERVICES) as ServiceProgram[], say)
if (named.length === 0) {
  await check('type check', join(BIN, 'tsc'), ['-p', '.'])
  await check('lint and format', join(BIN, 'biome'), ['ci', '--colors=off', '.'])
  await check('import rule', process.execPath, ['scripts/check-imports.ts'])
  // Keepers are ended before Node would write down what it has compiled. This process is not.
  const nobody = { stdout() {}, stderr() {} }
  await finished(process.execPath, ['-e', "import('./src/app/keeper-child.ts')"], nobody)
}
await tests(named)
searchSecrets()
finish()
