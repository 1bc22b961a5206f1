/** docs/threats.md names tests that are there and that quote what they are named for. */

import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '../..')

t.test('every test that docs/threats.md names quotes the number of its row', async (t) => {
  const page = await readFile(resolve(root, 'docs/threats.md'), 'utf8')
  const rows = [...page.matchAll(/^\| ([A-J]-?[0-9]+) \|(.*)\|$/gm)]
  const requirements = await readFile(resolve(root, 'docs/requirements.md'), 'utf8')
  const [, threats = ''] = /^## Threats$(.*?)^## /ms.exec(requirements) ?? []
  const numbers = [...threats.matchAll(/\b(?:[A-FHJ][0-9]+|[GI]-[0-9]+)\b/g)].map(([number]) => number)
  t.ok(numbers.length > 80, `${numbers.length} threats`)
  t.strictSame(
    rows.map(([, number]) => number),
    numbers,
    'a row for each threat, in the order of docs/requirements.md',
  )
  for (const [, number = '', row = ''] of rows) {
    const cells = row.split('|')
    t.equal(cells.length, 3, `${number}: attack, what happens, where it is shown`)
    t.not((cells[2] ?? '').trim(), '', `${number} is shown somewhere, or says why not`)
    for (const [, file = ''] of (cells[2] ?? '').matchAll(/`(test\/[^`]+)`/g)) {
      const text = await readFile(resolve(root, file), 'utf8').catch(() => '')
      t.match(text, new RegExp(`\\b${number}\\b`), `${file} quotes ${number}`)
    }
  }
})
