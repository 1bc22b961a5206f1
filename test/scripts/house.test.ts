/** The house's own rules: imports, and pages that are printed from the code. */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { protocolsPage } from '../../scripts/rfc-index.ts'

const root = resolve(import.meta.dirname, '../..')

t.test('nobody imports from a room that it may not know', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['scripts/check-imports.ts'], { cwd: root })
  t.match(stdout, /keep to the house rules/)
})

t.test('I-13: every package is the one that was looked at, and none runs code when it is installed', async (t) => {
  const settings = await readFile(resolve(root, '.npmrc'), 'utf8')
  t.match(settings, /^ignore-scripts=true$/m)
  const lock = JSON.parse(await readFile(resolve(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { resolved?: string; integrity?: string; link?: boolean; dev?: boolean }>
  }
  const packages = Object.entries(lock.packages).filter(([path]) => path !== '')
  for (const [path, { resolved, integrity = '', link }] of packages) {
    // Left out where it is the registry that npm asks anyway.
    t.match(
      resolved ?? 'https://registry.npmjs.org/',
      /^https:\/\/registry\.npmjs\.org\//,
      `${path}: from the registry`,
    )
    t.match(integrity, /^sha512-/, `${path}: with its digest`)
    t.notOk(link, path)
  }
  const own = packages.filter(([, { dev }]) => !dev)
  t.ok(own.length <= 160, `${own.length} packages in production: each more is somebody else to trust`)
})

t.test('D11: nothing but `dns` and `check` looks at DNS, and nothing asks for its texts', async (t) => {
  const grep = async (pattern: string) => {
    const found = promisify(execFile)('grep', ['-rlE', pattern, 'src'], { cwd: root })
    return (await found.catch(() => ({ stdout: '' }))).stdout.trim().split('\n').filter(Boolean).sort()
  }
  t.strictSame(await grep(String.raw`(from|import\(|require\() *'(node:)?dns(/promises)?'`), [
    'src/cli/check/socket.ts',
    'src/cli/dns.ts',
    'src/cli/dns/look-up.ts',
  ])
  t.strictSame(
    await grep(
      String.raw`\b(resolve(Any|Caa|Mx|Naptr|Ns|Ptr|Soa|Tlsa|Txt)|lookupService)\b|\b(dns|[rR]esolver)\.reverse\(`,
    ),
    [],
  )
})

t.test('docs/protocols.md is what the code says (node scripts/rfc-index.ts)', async (t) => {
  const { text, problems } = protocolsPage()
  t.strictSame(problems, [])
  t.equal(await readFile(resolve(root, 'docs/protocols.md'), 'utf8'), text)
})

t.test(
  'every requirement, promise and client rule that a test quotes is explained in docs/requirements.md',
  async (t) => {
    const page = await readFile(resolve(root, 'docs/requirements.md'), 'utf8')
    const { stdout } = await promisify(execFile)(
      'grep',
      ['-rhoE', String.raw`\b(client [0-9]+|M[0-9]{1,2})\b`, 'test'],
      { cwd: root },
    )
    for (const quoted of new Set(stdout.trim().split('\n'))) {
      t.match(page, new RegExp(`\\| ${quoted} \\|`), quoted)
    }
  },
)
