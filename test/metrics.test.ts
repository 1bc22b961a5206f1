import t from 'tap'
import { createMetrics, metricsText } from '../src/metrics.ts'

t.test('snapshots of several processes add up, gauges of health take the worst', async (t) => {
  const one = createMetrics()
  const two = createMetrics()
  one.logins.inc({ protocol: 'imap', result: 'accepted', reason: '' }, 2)
  two.logins.inc({ protocol: 'imap', result: 'accepted', reason: '' }, 3)
  one.storeUp.set(1)
  two.storeUp.set(0)
  // What crosses a process boundary is JSON.
  const wire = JSON.parse(JSON.stringify([await one.snapshot(), await two.snapshot()]))
  const text = await metricsText(wire)
  t.match(text, /sallyport_logins_total\{[^}]*protocol="imap"[^}]*\} 5/)
  t.match(text, /sallyport_store_up 0/)
})

t.test('J4: no label can hold a user or an address', async (t) => {
  const allowed = new Set([
    'protocol',
    'result',
    'reason',
    'path',
    'direction',
    'state',
    'upstream',
    'host',
    'lane',
    'certificate',
    'version',
    'node',
    'health',
  ])
  const metrics = createMetrics()
  for (const metric of Object.values(metrics)) {
    if (typeof metric !== 'object' || !('labelNames' in metric)) continue
    for (const label of metric.labelNames as string[]) t.ok(allowed.has(label), label)
  }
})
