import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { effectiveConfig, effectiveText, schemaText } from '../../src/config/print.ts'
import { referenceText } from '../../src/config/reference.ts'
import { sampleText } from '../../src/config/sample.ts'
import { jsonSchema, keysOf, shapesAt } from '../../src/config/shape.ts'
import { loadConfig } from '../../src/config.ts'
import { createCa } from '../support/certificates.ts'
import { directoryFor, GOOD, load } from './fixture.ts'

const CONFIG = resolve(import.meta.dirname, '../../config')
const { cert: CA } = await createCa()

t.test('config/ holds what the declaration prints (run node scripts/generate-config.ts)', (t) => {
  for (const [name, text] of Object.entries({
    'sallyport.schema.json': schemaText(),
    'reference.md': referenceText(),
    'sallyport.yaml': sampleText(),
  })) {
    t.ok(readFileSync(join(CONFIG, name), 'utf8') === text, `config/${name} is what the code prints`)
  }
  t.end()
})

/** Copies a sample into a directory, with the files it names. */
function unpack(directory: string, name: string): string {
  const etc = join(directory, 'etc')
  mkdirSync(join(etc, 'tls'), { recursive: true })
  for (const secret of [
    'master-password',
    'client-secret',
    'service-account.json',
    'postgres-password',
    'redis-password',
  ]) {
    writeFileSync(join(etc, secret), 'secret', { mode: 0o600 })
  }
  for (const pem of ['tls/fullchain.pem', 'tls/privkey.pem', 'internal-ca.pem']) {
    writeFileSync(join(etc, pem), CA, { mode: 0o600 })
  }
  const path = join(directory, name)
  writeFileSync(path, readFileSync(join(CONFIG, name), 'utf8').replaceAll('/etc/sallyport/', `${etc}/`))
  return path
}

t.test('every sample loads', async (t) => {
  const samples = readdirSync(CONFIG).filter((name) => name.endsWith('.yaml'))
  t.strictSame(samples.sort(), [
    'dovecot-sogo.yaml',
    'dovecot.yaml',
    'exchange-online.yaml',
    'gmail.yaml',
    'sallyport.yaml',
    'several-nodes.yaml',
  ])
  for (const name of samples) {
    const { config, warnings } = await loadConfig({ path: unpack(directoryFor(t), name), env: {} })
    t.ok(config.domains.length > 0, name)
    const expected = name === 'sallyport.yaml' ? ['tls.certificates'] : []
    t.strictSame(
      warnings.map(({ key }) => key),
      expected,
      `${name}: no warnings but for the self-made certificate`,
    )
  }
})

t.test('the commented lines of the sample are good settings, too', async (t) => {
  // Uncomment one top-level section at a time, leaving out what is only a placeholder.
  const sections = readFileSync(join(CONFIG, 'sallyport.yaml'), 'utf8').split('\n\n').slice(1)
  let tried = 0
  for (const section of sections) {
    if (!/^#[a-zA-Z]/m.test(section) || /^[a-z]/m.test(section) || section.includes('…')) continue
    const key = /^#([a-zA-Z]+):/m.exec(section)?.[1] ?? ''
    const directory = directoryFor(t)
    const path = unpack(directory, 'sallyport.yaml')
    const live = section.replaceAll(/^#(?=\S| {2})/gm, '')
    const text = readFileSync(path, 'utf8').replace(section, live)
    t.not(text, readFileSync(path, 'utf8'))
    writeFileSync(path, text)
    await t.resolves(loadConfig({ path, env: {} }), key)
    tried += 1
  }
  t.ok(tried > 8, `${tried} sections tried`)
})

t.test('every key of the declaration has a meaning', (t) => {
  const holes: string[] = []
  const walk = (shape: ReturnType<typeof jsonSchema>, path: string) => {
    for (const choice of [shape, ...(shape.oneOf ?? []), ...(shape.anyOf ?? [])]) {
      for (const [key, property] of Object.entries(choice.properties ?? {})) {
        const described = property.description ?? property.anyOf?.[0]?.description ?? property.const
        if (described === undefined || described === '') holes.push(`${path}.${key}`)
        walk(property, `${path}.${key}`)
      }
      if (choice.items) walk(choice.items, `${path}[]`)
      if (typeof choice.additionalProperties === 'object') walk(choice.additionalProperties, `${path}.*`)
    }
  }
  walk(jsonSchema(), '')
  t.strictSame(holes, [])
  t.end()
})

t.test('what is in effect: defaults filled in, in the words of the file, loads to the same', async (t) => {
  const directory = directoryFor(t)
  const first = await load(
    directory,
    GOOD.replace('routes:', 'redis: { url: "redis://u:pw-in-url@127.0.0.1" }\nroutes:'),
  )
  const text = effectiveText(first)
  t.notMatch(text, 'pw-in-url')
  t.match(text, '[secret]')
  t.match(parse(text), {
    limits: { login: '60s', perUser: 50 },
    upstreams: { main: { identity: { separator: '*' } } },
    listeners: [{}, { bind: '127.0.0.1' }],
  })
  t.match(effectiveConfig(first), {
    dataDirectory: join(directory, 'data'),
    runtimeDirectory: join(directory, 'data/run'),
  })
  const plain = await load(directory)
  const again = await load(directory, effectiveText(plain))
  t.strictSame(JSON.parse(JSON.stringify(again.config)), JSON.parse(JSON.stringify(plain.config)))
})

t.test('finding one’s way in the schema', (t) => {
  const document = { listeners: [{ protocol: 'http' }] }
  t.strictSame(keysOf(shapesAt(jsonSchema(), ['listeners', 0], document)), ['protocol', 'bind', 'port', 'serves'])
  t.strictSame(shapesAt(jsonSchema(), ['nonsense', 'x'], document), [])
  t.end()
})
