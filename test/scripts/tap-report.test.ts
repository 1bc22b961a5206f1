/**
 * What the runner makes of a test file's output: nothing that went wrong may count as passed.
 */

import t from 'tap'
import { createTapReport } from '../../scripts/tap-report.ts'

const HEAD = 'TAP version 14\n'

for (const [name, tap, how, want] of [
  ['all well', 'ok 1 - a\nok 2 - b\n1..2\n', null, [2, 0, 0]],
  ['a failed assertion', 'ok 1 - a\nnot ok 2 - b\n1..2\n', 'status 1', [1, 1, 0]],
  [
    'assertions below count, their parents do not',
    '# Subtest: x\n    ok 1 - a\n    ok 2 - b\n    1..2\nok 1 - x\n1..1\n',
    null,
    [2, 0, 0],
  ],
  ['a skipped one', 'ok 1 - a # SKIP no server\nok 2 - b\n1..2\n', null, [1, 0, 1]],
  ['a skipped file', '1..0 # no server\n', null, [0, 0, 1]],
  ['a file that dies after its last assertion', 'ok 1 - a\n1..1\n', 'status 3', [1, 1, 0]],
  ['a file that dies in the middle', 'ok 1 - a\n', 'SIGKILL', [1, 1, 0]],
  ['fewer assertions than planned', 'ok 1 - a\n1..2\n', null, [1, 1, 0]],
  ['bail out', 'ok 1 - a\nBail out! enough\n', 'status 1', [1, 1, 0]],
  ['nothing at all', '', null, [0, 1, 0]],
  ['nothing at all, and a fault', '', 'status 1', [0, 1, 0]],
] as const) {
  t.test(name, async (t) => {
    const said: string[] = []
    const report = createTapReport('x.test.ts', (line) => said.push(line))
    if (tap !== '') report.write(Buffer.from(HEAD + tap))
    await report.end(how)
    const { passed, failed, skipped } = report.counts
    t.same([passed, failed, skipped], want)
    t.equal(report.failures.length, failed)
    t.equal(said.filter((line) => line.startsWith('FAIL ')).length, failed, 'each failure is said')
  })
}
