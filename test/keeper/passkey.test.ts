import t from 'tap'
import type { AnswerOptions } from '../support/authenticator.ts'
import { createPasskey } from '../support/authenticator.ts'
import type { PeopleHouse, Person } from './people.ts'
import { CLIENT, enrol, invitationFor, PASSWORD, peopleHouse } from './people.ts'

const HOME = { origin: 'https://mail.a.test', rpId: 'mail.a.test' }
const bad = { next: 'refused', why: 'bad-credentials' }

async function addPasskey(h: PeopleHouse, person: Pick<Person, 'session'>, passkey = createPasskey(HOME)) {
  const { options } = await h.ask('passkey.begin', { session: person.session })
  const response = passkey.create(options)
  const added = await h.ask('passkey.confirm', { client: CLIENT, session: person.session, response, name: 'laptop' })
  if (added === null) throw new Error('refused')
  person.session = added.session.token
  return { passkey, added }
}

t.test('a passkey enrols, and signs in alone, in one step that is two', async (t) => {
  const h = await peopleHouse(t)
  await h.call('user.add', { address: 'ann@a.test' })
  const invitation = await invitationFor(h, 'ann@a.test')
  const accepted = await h.ask('invitation.accept', { client: CLIENT, invitation })
  if (accepted.next !== 'signed-in') throw new Error('refused')
  const ann = { session: accepted.session.token }
  const { passkey, added } = await addPasskey(h, ann)
  t.equal(added.recoveryCodes?.length, 10)
  t.match(await h.ask('session.show', { client: CLIENT, session: ann.session }), { enrolment: ['app-password'] })
  await h.ask('enrolment.finish', { session: ann.session })
  t.match(await h.ask('methods.list', { session: ann.session }), { passkeys: [{ name: 'laptop', synced: true }] })

  const signIn = async (answer: AnswerOptions = {}) => {
    const begun = await h.ask('sign-in.passkey-begin', { client: CLIENT, flow: null })
    if ('next' in begun) throw new Error(begun.why)
    const response = passkey.get(begun.options, answer)
    const done = await h.ask('sign-in.passkey-finish', { client: CLIENT, flow: begun.flow, response })
    return { done, again: () => h.ask('sign-in.passkey-finish', { client: CLIENT, flow: begun.flow, response }) }
  }
  const { done, again } = await signIn()
  t.match(done, { next: 'signed-in', stage: 'full' })
  t.match(await again(), { next: 'refused', why: 'flow-over' }, 'one answer to one challenge')
  for (const [why, answer] of [
    ['another site', { origin: 'https://mail.a.test.evil.test' }],
    ['another relying party', { rpId: 'evil.test' }],
    ['another challenge', { challenge: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }],
    ['nobody verified', { userVerified: false }],
    ['a counter that was there before: a copy', { counter: 1 }],
  ] as const) {
    t.match((await signIn(answer)).done, bad, why)
  }
  t.match((await signIn({ counter: 10 })).done, { next: 'signed-in' })
  const stranger = createPasskey(HOME)
  const begun = await h.ask('sign-in.passkey-begin', { client: CLIENT, flow: null })
  if ('next' in begun) throw new Error(begun.why)
  const answered = { client: CLIENT, flow: begun.flow, response: stranger.get(begun.options) }
  t.match(await h.ask('sign-in.passkey-finish', answered), bad, 'nobody has this one')
  const nonsense = { id: passkey.id, rawId: passkey.id, type: 'public-key', clientExtensionResults: {}, response: {} }
  for (const response of [
    {},
    { id: 7 },
    { id: passkey.id },
    { id: passkey.id, response: {} },
    { ...nonsense, response: { clientDataJSON: 7, authenticatorData: [], signature: null } },
    { ...nonsense, response: null },
  ]) {
    const next = await h.ask('sign-in.passkey-begin', { client: CLIENT, flow: null })
    if ('next' in next) throw new Error(next.why)
    t.match(await h.ask('sign-in.passkey-finish', { client: CLIENT, flow: next.flow, response }), bad, 'nonsense')
    await h.ask('passkey.begin', { session: ann.session })
    const refused = { client: CLIENT, session: ann.session, response, name: 'nonsense' }
    t.equal(await h.ask('passkey.confirm', refused), null, 'and no new one')
  }
})

t.test('as a second step and to step up: only the own one of who signs in', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const bob = await enrol(h, 'bob@a.test')
  const { passkey: anns } = await addPasskey(h, ann)
  const { passkey: bobs } = await addPasskey(h, bob)
  const begin = async () => {
    const first = await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password: PASSWORD })
    if (first.next !== 'second-step') throw new Error(JSON.stringify(first))
    const begun = await h.ask('sign-in.passkey-begin', { client: CLIENT, flow: first.flow })
    if ('next' in begun) throw new Error(begun.why)
    return begun
  }
  const other = await begin()
  const theirs = { client: CLIENT, flow: other.flow, response: bobs.get(other.options) }
  t.match(await h.ask('sign-in.passkey-finish', theirs), bad, "somebody else's")
  const own = await begin()
  t.strictSame(
    (own.options.allowCredentials as { id: string }[]).map(({ id }) => id),
    [anns.id],
  )
  const ours = { client: CLIENT, flow: own.flow, response: anns.get(own.options) }
  t.match(await h.ask('sign-in.passkey-finish', ours), { next: 'signed-in' })

  h.pass(6 * 60_000)
  const step = async (response: (options: Readonly<Record<string, unknown>>) => Record<string, unknown>) => {
    const begun = await h.ask('step-up.passkey-begin', { client: CLIENT, session: ann.session })
    if ('next' in begun) throw new Error(begun.why)
    const answer = { client: CLIENT, session: ann.session, response: response(begun.options) }
    return await h.ask('step-up.passkey-finish', answer)
  }
  t.match(await step((options) => bobs.get(options)), bad)
  t.match(await step((options) => anns.get(options)), { next: 'signed-in' })
})

t.test('registering: what is refused, and what can be there once only', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const bob = await enrol(h, 'bob@a.test')
  for (const [why, answer] of [
    ['another site', { origin: 'https://evil.test' }],
    ['another relying party', { rpId: 'evil.test' }],
    ['another challenge', { challenge: 'AAAA' }],
    ['nobody verified', { userVerified: false }],
  ] as const) {
    const { options } = await h.ask('passkey.begin', { session: ann.session })
    const response = createPasskey(HOME).create(options, answer)
    const asked = { client: CLIENT, session: ann.session, response, name: 'x' }
    t.equal(await h.ask('passkey.confirm', asked), null, why)
    t.equal(await h.ask('passkey.confirm', asked), null, 'and the challenge is used up')
  }
  const { passkey } = await addPasskey(h, ann)
  await t.rejects(addPasskey(h, bob, passkey), { code: 'exists' }, 'a credential belongs to one user')
  const { passkeys } = await h.ask('methods.list', { session: ann.session })
  const { totp } = await h.ask('methods.list', { session: ann.session })
  const remove = (kind: 'totp' | 'passkey', id = '') =>
    h.ask('method.delete', { client: CLIENT, session: ann.session, kind, id })
  await remove('totp', totp[0]?.id)
  await t.rejects(
    remove('passkey', passkeys[0]?.id),
    { code: 'forbidden' },
    'the last one can be replaced, not deleted',
  )
})
