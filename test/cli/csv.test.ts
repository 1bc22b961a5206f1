import { Readable } from 'node:stream'
import t from 'tap'
import { splitRecord } from '../../src/cli/csv.ts'
import { entriesOf } from '../../src/cli/user-import.ts'

t.test('a record of CSV (RFC 4180)', (t) => {
  for (const [text, want, why] of [
    ['a,b,c', ['a', 'b', 'c'], 'plain'],
    ['', [''], 'empty'],
    ['a,', ['a', ''], 'empty last field'],
    [',', ['', ''], 'two empty fields'],
    ['"a,b",c', ['a,b', 'c'], 'comma in quotes'],
    ['"say ""hi""",x', ['say "hi"', 'x'], 'doubled quotes'],
    ['"two\nlines",x', ['two\nlines', 'x'], 'line end in quotes'],
    ['"",""', ['', ''], 'quoted empty fields'],
    ['a,"b', 'open', 'quote not closed'],
    ['"a"b,c', 'bad', 'text behind a quote'],
    ['a"b,c', 'bad', 'quote in a plain field'],
  ] as const) {
    t.strictSame(splitRecord(text), want, why)
  }
  t.end()
})

async function entries(text: string) {
  const all = []
  for await (const entry of entriesOf(Readable.from([text])))
    all.push(entry.ok ? entry.user : [entry.refused.line, entry.refused.why])
  return all
}

t.test('entries of a file keep their line numbers', async (t) => {
  t.strictSame(await entries('groups,address\n\n"a b",x@example.org\n,"y@example.org"\n'), [
    { line: 3, address: 'x@example.org', name: null, groups: ['a', 'b'], language: null },
    { line: 4, address: 'y@example.org', name: null, groups: [], language: null },
  ])
  t.strictSame(await entries('address,name\na,"Multi\nLine"\nb,c\n'), [
    { line: 2, address: 'a', name: 'Multi\nLine', groups: [], language: null },
    { line: 4, address: 'b', name: 'c', groups: [], language: null },
  ])
  t.strictSame(await entries(''), [])
  t.strictSame(await entries('{"address":"a"}\n{"address":1}\nnonsense\n{"address":"b","extra":1}\n'), [
    { line: 1, address: 'a', name: null, groups: [], language: null },
    [2, 'is not {"address":…,"name":…,"groups":[…],"language":…} in JSON'],
    [3, 'is not {"address":…,"name":…,"groups":[…],"language":…} in JSON'],
    [4, 'is not {"address":…,"name":…,"groups":[…],"language":…} in JSON'],
  ])
  t.match(
    await entries(`address\n"${'x'.repeat(9000)}\nb\n`),
    [[2, /not closed/], { line: 3, address: 'b' }],
    'an open quote does not swallow the file',
  )
  t.match(await entries(`address,name\na,${'x'.repeat(129)}\n,b\n${'y'.repeat(1025)},\n`), [
    [2, /128/],
    [3, /no address/],
    [4, /too long/],
  ])
})
