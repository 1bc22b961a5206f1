import t from 'tap'
import { house } from './run.ts'

// Each case starts processes, and the machine may be busy.
t.setTimeout(240_000)

t.test('throttle: help, an empty list, clearing, wrong usage', async (t) => {
  const { run } = house(t)
  await run(['user', 'add', 'ann@example.org'])
  t.strictSame((await run(['throttle', 'list', '--json'])).json(), [])
  t.match((await run(['throttle', 'list'])).stdout, /^LANE +USER +ADDRESS +FAILURES +WAIT +LAST FAILED\n$/)
  const cleared = await run(['throttle', 'clear', '--user', 'ann', '--address', '203.0.113.7', '--json'])
  t.strictSame(cleared.json(), { cleared: 0 })
  t.equal((await run(['throttle', 'clear'])).stdout, '0 lanes cleared\n')
  const wrong = await run(['throttle', 'clear', '--address', 'ann@example.org', '--json'])
  t.equal(wrong.status, 1)
  t.match(wrong.error(), { code: 'invalid', message: /no IP address/ })
  const help = await run(['throttle', 'clear', '--help'])
  t.match(help.stdout, /--user <address>[\s\S]*--address <ip>/)
  t.match((await run(['--help'])).stdout, /throttle .*list, clear/)
  t.match((await run(['audit', '--json'])).stdout, /throttle_cleared/)
})
