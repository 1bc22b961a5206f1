/** Short names at scanner listeners (M11), as the portal is told of them: one's own, and no other. */

import t from 'tap'
import { CLIENT, enrol, peopleHouse } from './people.ts'

const LISTENERS = `
  - { protocol: imap, bind: 127.0.0.1, port: 1143, tls: none }
  - protocol: smtp
    port: 2525
    tls: starttls
    scanner:
      allowedNetworks: [10.1.0.0/16]
      aliases:
        scan1: { user: scan@a.test, sender: office@a.test }
        scan2: { user: scan@a.test }
        other: { user: ann@a.test }`

t.test('the portal shows whose devices may log in under which short name, and where', async (t) => {
  const h = await peopleHouse(t, { listeners: LISTENERS })
  const scan = await enrol(h, 'scan@a.test')
  t.strictSame((await h.ask('methods.list', { session: scan.session })).aliases, [
    { alias: 'scan1', protocol: 'smtp', port: 2525, sender: 'office@a.test' },
    { alias: 'scan2', protocol: 'smtp', port: 2525, sender: null },
  ])
  const bob = await enrol(h, 'bob@a.test')
  t.strictSame((await h.ask('methods.list', { session: bob.session })).aliases, [])
})

t.test('an alias is no name anywhere else: not at the portal, not for an administrator (C5)', async (t) => {
  const h = await peopleHouse(t, { listeners: LISTENERS })
  await enrol(h, 'scan@a.test')
  await t.rejects(h.call('user.show', { address: 'scan1' }), { code: 'not-found' })
  t.match(await h.ask('sign-in.password', { client: CLIENT, user: 'scan1', password: 'correct horse 1' }), {
    next: 'refused',
    why: 'bad-credentials',
  })
})
