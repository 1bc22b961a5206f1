/**
 * npm test: servers that tests need, type check, lint, import check, all tests, and a search for secrets in everything that
 * was printed.
 *
 *     npm test                     everything
 *     npm test -- test/e2e/*.ts    only these files, without the checks
 *     npm test -- --coverage       with coverage of src/ at the end
 *
 * The last line is `N passed, N failed`, with `, N skipped` when something was. Assertions are counted, and each check as one.
 * With SALLYPORT_REQUIRE_SERVICES=1 nothing that needs a server is skipped: it fails.
 */

import { spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { ServiceProgram } from '../test/support/services.ts'
import { SERVICES } from '../test/support/services.ts'
import { createSecretScan } from './secret-scan.ts'
import { ensureServices } from './services.ts'
import { createTapReport } from './tap-report.ts'

const ROOT = resolve(import.meta.dirname, '..')
const BIN = join(ROOT, 'node_modules/.bin')
/** The whole run; CI gives it no more. */
const LIMIT_MS = 19 * 60_000
/** One test file. */
const FILE_LIMIT_S = 240

const args = process.argv.slice(2)
const coverage = args.includes('--coverage')
const files = args.filter((arg) => !arg.startsWith('-'))
const unknown = args.filter((arg) => arg.startsWith('-') && arg !== '--coverage')
if (unknown.length > 0) {
  console.error(`unknown option ${unknown.join(' ')}; usage: npm test -- [--coverage] [file…]`)
  process.exit(2)
}

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
  PATH: `${BIN}:${process.env.PATH ?? ''}`,
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

const running = new Set<ReturnType<typeof spawn>>()

interface Ran {
  readonly status: number
  readonly output: string
}

/** Runs a program of the toolchain to its end, its output kept; `onOutput` sees standard output as it comes. */
function toolchain(file: string, argv: readonly string[], onOutput?: (chunk: Buffer) => void): Promise<Ran> {
  return new Promise((done) => {
    const child = spawn(file, argv, { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    const output: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => {
      appendFileSync(transcript, chunk)
      if (onOutput) onOutput(chunk)
      else output.push(chunk)
    })
    child.stderr.on('data', (chunk: Buffer) => {
      appendFileSync(transcript, chunk)
      if (onOutput) process.stderr.write(chunk)
      else output.push(chunk)
    })
    child.on('error', (error) => output.push(Buffer.from(error.message)))
    child.on('close', (code) => {
      running.delete(child)
      done({ status: code ?? 128, output: Buffer.concat(output).toString() })
    })
  })
}

async function check(name: string, file: string, argv: readonly string[]): Promise<void> {
  const since = performance.now()
  const { status, output } = await toolchain(file, argv)
  if (status === 0) {
    counts.passed += 1
    say(`ok   ${name} (${seconds(since)})`)
    return
  }
  fail(name)
  say(`FAIL ${name} (${seconds(since)})`)
  console.log(output.trimEnd().split('\n').slice(0, 200).join('\n'))
}

/** tap's test class is generated; as shipped it holds the TypeScript plugin, which TypeScript 7 does not work with. */
async function buildTap(): Promise<void> {
  const built = join(ROOT, 'node_modules/@tapjs/test/test-built/dist/esm/index.js')
  if (existsSync(built) && !readFileSync(built, 'utf8').includes('@tapjs/typescript')) return
  const since = performance.now()
  const { status, output } = await toolchain(join(BIN, 'tap'), ['build'])
  if (status === 0) say(`ok   tap build (${seconds(since)})`)
  else {
    fail('tap build')
    say(`FAIL tap build (${seconds(since)})\n${output}`)
  }
}

async function tests(): Promise<void> {
  const report = createTapReport(say)
  const argv = [
    '--reporter=tap',
    `--timeout=${FILE_LIMIT_S}`,
    ...(coverage ? ['--show-full-coverage'] : ['--disable-coverage']),
  ]
  const { status } = await toolchain(join(BIN, 'tap'), [...argv, ...files], (chunk) => report.input.write(chunk))
  report.input.end()
  await report.done
  counts.passed += report.counts.passed
  counts.failed += report.counts.failed
  counts.skipped += report.counts.skipped
  failures.push(...report.failures)
  if (status !== 0 && report.counts.failed === 0) {
    fail(`tap ended with status ${status}`)
    say(`FAIL tap ended with status ${status}`)
  }
  if (report.counts.passed + report.counts.failed + report.counts.skipped === 0) {
    fail('no test ran')
    say('FAIL no test ran')
  }
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
  for (const hit of hits.slice(0, 20))
    say(`     ${hit.file}:${hit.line}, secret ${hit.secret} ${hit.form}: ${hit.excerpt}`)
  if (hits.length > 20) say(`     and ${hits.length - 20} more`)
}

function finish(): never {
  if (failures.length > 0) {
    console.log(`\nfailed, out of everything above (${seconds(startedAt)} in all):`)
    for (const name of failures) console.log(`  ${name}`)
    console.log(`outputs are kept in ${workspace}`)
    rmSync(secretsFile, { force: true })
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
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
  process.once(signal, () => giveUp(`stopped by ${signal}`))
setTimeout(() => giveUp(`not done after ${LIMIT_MS / 60_000} minutes`), LIMIT_MS).unref()

await ensureServices(Object.keys(SERVICES) as ServiceProgram[], say)
if (files.length === 0) {
  await check('type check', join(BIN, 'tsc'), ['-p', '.'])
  await check('lint and format', join(BIN, 'biome'), ['ci', '--colors=off', '.'])
  await check('import rule', process.execPath, ['scripts/check-imports.ts'])
}
await buildTap()
await tests()
searchSecrets()
finish()
