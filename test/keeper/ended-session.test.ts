/** What ends somebody's sessions while one of them is changing something (threats H2, H9). */

import t from 'tap'
import { createPasskey } from '../support/authenticator.ts'
import { behindALook } from './looked-at.ts'
import { CLIENT, codeOf, enrol, PASSWORD, peopleHouse, signIn } from './people.ts'

t.test('a session that is ended does nothing more, however far it had come', async (t) => {
  const moment = behindALook()
  const h = await peopleHouse(t, {
    listeners: `
  - { protocol: imap, bind: 127.0.0.1, port: 2993, tls: implicit }
  - { protocol: smtp, bind: 127.0.0.1, port: 2465, tls: implicit }
  - { protocol: https, bind: 127.0.0.1, port: 1443, serves: [portal] }`,
    wrapStore: moment.wrapStore,
  })
  const ann = await enrol(h, 'ann@a.test')
  const { id } = await h.call('user.show', { address: ann.address })

  /** What of hers a session could change. */
  async function belongings() {
    const { people } = h.store
    return {
      password: (await h.store.userById(id))?.passwordHash,
      apps: (await people.authenticatorAppsOf(id)).length,
      passkeys: (await people.passkeysOf(id)).length,
      codes: (await people.recoveryCodesOf(id))?.madeAt,
      appPasswords: (await h.store.appPasswordsOf(id)).length,
      links: (await people.oneTimeLinksOf(id, 'set-up', new Date(0))).length,
    }
  }

  const passkey = createPasskey({ origin: 'https://mail.a.test', rpId: 'mail.a.test' })
  const actions: Readonly<Record<string, (session: string) => Promise<() => Promise<unknown>>>> = {
    'another password': async (session) => () =>
      h.ask('password.set', { client: CLIENT, session, password: 'mine now 1' }),
    'another authenticator app': async (session) => {
      const { id: app, secret } = await h.ask('totp.begin', { session })
      const code = codeOf(secret, h.time.at)
      return () => h.ask('totp.confirm', { client: CLIENT, session, id: app, code, name: 'mine' })
    },
    'a passkey': async (session) => {
      const response = passkey.create((await h.ask('passkey.begin', { session })).options)
      return () => h.ask('passkey.confirm', { client: CLIENT, session, response, name: 'mine' })
    },
    'other recovery codes': async (session) => () => h.ask('recovery-codes.renew', { client: CLIENT, session }),
    'an app password': async (session) => () => h.ask('app-password.issue', { client: CLIENT, session, name: 'mine' }),
    'a set-up link': async (session) => () =>
      h.ask('set-up.create', { client: CLIENT, session, name: 'mine', kind: 'imap' }),
  }
  for (const [what, prepare] of Object.entries(actions)) {
    const act = await prepare(await signIn(h, ann))
    let ended = await belongings()
    moment.next = async () => {
      await h.call('user.set-password', { address: ann.address, password: PASSWORD })
      ended = await belongings()
    }
    await t.rejects(act(), { code: 'signed-out' }, what)
    t.strictSame(await belongings(), ended, `${what}: nothing came of it`)
  }
})
