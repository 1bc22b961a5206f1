/** E5 by measurement, in an https edge alone. */

import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { AT_ONCE, keepsNothing } from './heap-kept.ts'
import { planted, startLoneEdge } from './lone-edge.ts'

t.setTimeout(240_000)

/** What node:http or undici have of a request is a kilobyte and more. node:http takes a thousand of them to warm up. */
const MOST_BYTES = 500

t.test(
  'E5: a phone’s request that is over leaves nothing on the https edge’s heap, whatever becomes of its connections',
  async (t) => {
    const upstream = createServer((incoming, response) => void incoming.resume().on('end', () => response.end('ok')))
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const edge = await startLoneEdge(t, 'https', (upstream.address() as AddressInfo).port, async () => {})
    const staying = new Agent({ keepAlive: true, maxSockets: AT_ONCE, ...edge.tls })
    t.teardown(() => {
      staying.destroy()
      upstream.closeAllConnections()
      upstream.close()
    })
    let users = 0
    const sync = async (agent: Agent | false) => {
      const asked = request({
        ...edge.tls,
        host: '127.0.0.1',
        port: edge.tlsPort,
        agent,
        method: 'POST',
        path: '/Microsoft-Server-ActiveSync?Cmd=Sync&User=ann&DeviceId=PHONE1&DeviceType=iPhone',
        headers: { authorization: `Basic ${Buffer.from(`ann${users++}@example.org:${planted()}`).toString('base64')}` },
      })
      asked.end('x')
      const [response] = (await once(asked, 'response')) as [IncomingMessage]
      if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`)
      response.resume()
      await once(response, 'close')
    }
    await keepsNothing(t, edge, 'request on a connection of its own', () => sync(false), {
      times: 300,
      mostBytes: MOST_BYTES,
    })
    await keepsNothing(t, edge, 'request on a connection that stays', () => sync(staying), {
      times: 600,
      mostBytes: MOST_BYTES,
    })
  },
)
