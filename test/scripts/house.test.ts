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

t.test('docs/protocols.md is what the code says (node scripts/rfc-index.ts)', async (t) => {
  const { text, problems } = protocolsPage()
  t.strictSame(problems, [])
  t.equal(await readFile(resolve(root, 'docs/protocols.md'), 'utf8'), text)
})

t.test('the project speaks of itself alone', async (t) => {
  for (const page of ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'docs/architecture.md']) {
    const text = await readFile(resolve(root, page), 'utf8')
    t.notMatch(text, /\.\.\/shared|\/work\/|design\.md|threats\.md|interfaces\.md|product\.md/, page)
  }
})
