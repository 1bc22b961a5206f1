import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { createCa } from '../support/certificates.ts'
import { CONFIG, house, sallyport } from './run.ts'

t.test('config check: ok with warnings, or every problem with its line, exit 78', async (t) => {
  const { run, directory } = house(t)
  const good = await run(['config', 'check'])
  t.equal(good.status, 0)
  t.match(good.stdout, /^warning: .*tls\.certificates: is empty/m)
  t.match(good.stdout, new RegExp(`^ok: ${directory}/sallyport\\.yaml$`, 'm'))
  t.match((await run(['config', 'check', '--json'])).json(), {
    ok: true,
    problems: [],
    warnings: [{ key: 'tls.certificates' }],
  })

  writeFileSync(join(directory, 'sallyport.yaml'), CONFIG.replace('domains:', 'domain:').replace('port: 0', 'port: -1'))
  const bad = await run(['config', 'check'])
  t.equal(bad.status, 78)
  t.equal(bad.stdout, '')
  t.match(bad.stderr, /^sallyport: .*sallyport\.yaml:2: domain: is not a key; did you mean domains\?$/m)
  t.match(bad.stderr, /^sallyport: .*sallyport\.yaml:4: listeners\[0\]\.port: must be/m)
  const json = await run(['config', 'check', '--json'])
  t.equal(json.status, 78)
  t.match(json.json(), { ok: false, file: join(directory, 'sallyport.yaml') })
  const { problems } = json.json<{ problems: { line: number; key: string }[] }>()
  t.ok(problems.some(({ line, key }) => line === 2 && key === 'domain'))
})

t.test('config check: certificates that do not count today', async (t) => {
  const certificates = 'tls: { certificates: [{ certFile: cert.pem, keyFile: key.pem }] }\n'
  const { run, directory } = house(t, `${CONFIG}${certificates}`)
  const ca = await createCa()
  const tomorrow = { notBefore: new Date(Date.now() + 2 * 86_400_000), notAfter: new Date(Date.now() + 9 * 86_400_000) }
  for (const [pair, words] of [
    [await ca.expired(), /cert\.pem ran out on \d{4}-\d\d-\d\d: renew it/],
    [await ca.issue(tomorrow), /cert\.pem is not valid before \d{4}-\d\d-\d\d: is the clock right\?/],
  ] as const) {
    writeFileSync(join(directory, 'cert.pem'), pair.cert)
    writeFileSync(join(directory, 'key.pem'), pair.key, { mode: 0o600 })
    const { status, stdout } = await run(['config', 'check'])
    t.equal(status, 0)
    t.match(stdout, words)
    t.match(stdout, /sallyport\.yaml:\d+: tls\.certificates\[0\]: /)
  }
})

t.test('config print: what is in effect, secrets masked', async (t) => {
  const { run } = house(t)
  const env = { SALLYPORT_REDIS__URL: 'redis://u:pw-in-the-url@127.0.0.1', SALLYPORT_LIMITS__PERUSER: '7' }
  const text = await run(['config', 'print'], { env })
  t.equal(text.status, 0)
  t.match(parse(text.stdout), { limits: { perUser: 7, idle: '31m' }, redis: { url: 'redis://u:[secret]@127.0.0.1' } })
  const json = await run(['config', 'print', '--json'], { env })
  t.strictSame(json.json(), parse(text.stdout))
  for (const { stdout } of [text, json]) t.notMatch(stdout, /pw-in-the-url|the-master-password/)
})

t.test('config schema, reference, sample: what stands in config/', async (t) => {
  const read = (name: string) => readFileSync(resolve(import.meta.dirname, '../../config', name), 'utf8')
  t.equal((await sallyport(['config', 'schema'])).stdout, read('sallyport.schema.json'))
  t.equal((await sallyport(['config', 'reference'])).stdout, read('reference.md'))
  t.equal((await sallyport(['config', 'reference', '--sample'])).stdout, read('sallyport.yaml'))
})

t.test('serve refuses what this version cannot do, by name, exit 78', async (t) => {
  const { run, launch } = house(t, `${CONFIG}store: { postgres: { url: "postgres://sallyport@127.0.0.1/x" } }\n`)
  const check = await run(['config', 'check'])
  t.equal(check.status, 0, 'the configuration itself is right')
  t.match(check.stdout, /store\.postgres: PostgreSQL: not available/)
  const { status, stderr } = await launch(['serve'])
  t.equal(status, 78)
  t.match(stderr, /store\.postgres: PostgreSQL: not available in this version/)
})
