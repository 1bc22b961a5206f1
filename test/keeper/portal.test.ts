import t from 'tap'
import { PORTAL_METHODS } from '../../src/contract/portal.ts'
import { edge } from './house.ts'
import { addApp, CLIENT, codeOf, enrol, invitationFor, PASSWORD, peopleHouse, signIn } from './people.ts'

t.test('every method of the portal has its handler, and none besides', async (t) => {
  const h = await peopleHouse(t)
  t.strictSame(Object.keys(h.keeper.portal).sort(), Object.keys(PORTAL_METHODS).sort())
})

t.test(
  'R20, R21: from the invitation to the first app password, which opens mail and nothing else (R33)',
  async (t) => {
    const h = await peopleHouse(t)
    await h.call('user.add', { address: 'ann@a.test', name: 'Ann', password: PASSWORD })
    const invitation = await invitationFor(h, 'ann@a.test')
    t.match(await h.ask('invitation.show', { client: CLIENT, invitation }), { user: 'ann@a.test', why: 'new-user' })
    t.ok(await h.ask('invitation.show', { client: CLIENT, invitation }), 'looking uses nothing up')
    const accepted = await h.ask('invitation.accept', { client: CLIENT, invitation })
    if (accepted.next !== 'signed-in') throw new Error('refused')
    const first = accepted.session.token
    t.match(await h.ask('session.show', { client: CLIENT, session: first }), {
      stage: 'enrolling',
      enrolment: ['second-step', 'recovery-codes', 'app-password'],
      freshUntil: null,
    })
    await t.rejects(h.ask('app-password.issue', { client: CLIENT, session: first, name: 'x' }), {
      code: 'step-up-needed',
    })
    await t.rejects(h.ask('enrolment.finish', { session: first }), { code: 'forbidden' })
    await t.rejects(h.ask('session.others', { session: first }), { code: 'forbidden' }, 'only what sets up two-step')

    const { session, recoveryCodes } = await addApp(h, first)
    t.equal(await h.ask('session.show', { client: CLIENT, session: first }), null, 'H2: the old token is worth nothing')
    t.equal(new Set(recoveryCodes).size, 10)
    t.match(recoveryCodes?.[0], /^([0-9a-z]{4}-){3}[0-9a-z]{4}$/)
    t.match(await h.ask('session.show', { client: CLIENT, session }), { enrolment: ['app-password'] })
    const { password } = await h.ask('app-password.issue', { client: CLIENT, session, name: 'laptop' })
    await h.ask('enrolment.finish', { session })
    t.match(await h.ask('session.show', { client: CLIENT, session }), {
      stage: 'full',
      enrolment: [],
      appPasswords: { live: 1 },
      stepUp: ['totp', 'recovery-code'],
    })
    t.match(await h.ask('methods.list', { session }), {
      totp: [{ name: 'phone', lastUsedAt: null }],
      recoveryCodes: { left: 10 },
      appPasswords: [{ name: 'laptop', sessions: 0 }],
      notices: [],
    })
    t.match(h.capture.of('two_step_enrolled'), [{ user: 'ann@a.test' }])
    t.match(h.capture.of('sign_in_accepted'), [{ user: 'ann@a.test', mechanism: 'invitation' }])

    const e = edge(h.keeper)
    const grant = await e.login('ann@a.test', password)
    t.match((await h.ask('methods.list', { session })).appPasswords, [{ sessions: 1 }])
    t.match(
      await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password }),
      { next: 'refused', why: 'bad-credentials' },
      'R33, B9: an app password opens no portal',
    )
    const [{ id = '' } = {}] = (await h.ask('methods.list', { session })).appPasswords
    t.match(await h.ask('app-password.revoke', { client: CLIENT, session, id }), { sessionsEnded: 1 })
    t.strictSame(e.told, [grant.id])
  },
)

t.test('password and code; a code is accepted once, one step either way (B12)', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const begin = async () => {
    const first = await h.ask('sign-in.password', { client: CLIENT, user: 'ANN@a.test', password: PASSWORD })
    if (first.next !== 'second-step') throw new Error(JSON.stringify(first))
    t.strictSame(first.methods, ['totp', 'recovery-code'])
    return first.flow
  }
  const tryCode = async (flow: string, code: string) => await h.ask('sign-in.totp', { client: CLIENT, flow, code })
  const refused = { next: 'refused', why: 'bad-credentials' }

  t.match(
    await tryCode(await begin(), codeOf(ann.seed, h.time.at)),
    refused,
    'the code that confirmed the app is used up',
  )
  h.pass(30_000)
  const code = codeOf(ann.seed, h.time.at)
  const [one, two] = await Promise.all([begin(), begin()])
  const both = await Promise.all([tryCode(one, code), tryCode(two, code)])
  t.strictSame(both.map(({ next }) => next).sort(), ['refused', 'signed-in'], 'of two at once one is too late')
  t.match(await tryCode(await begin(), code), refused, 'replayed')
  h.pass(60_000)
  const late = codeOf(ann.seed, new Date(h.time.at.getTime() - 30_000))
  t.match(await tryCode(await begin(), late), { next: 'signed-in', stage: 'full' }, 'one step late')
  t.match(await tryCode(await begin(), codeOf(ann.seed, new Date(h.time.at.getTime() + 60_000))), refused, 'two early')
  const early = codeOf(ann.seed, new Date(h.time.at.getTime() + 30_000))
  t.match(
    await tryCode(await begin(), ` ${early.slice(0, 3)} ${early.slice(3)} `),
    { next: 'signed-in' },
    'typed with blanks',
  )
  t.match(await tryCode(await begin(), codeOf(ann.seed, h.time.at)), refused, 'a step before one that was used')
})

t.test('a recovery code signs in once, also of two at once; a new set replaces the old', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const [code = '', other = ''] = ann.recoveryCodes
  const tryCode = async (typed: string) => {
    const first = await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password: PASSWORD })
    if (first.next !== 'second-step') throw new Error(JSON.stringify(first))
    return (await h.ask('sign-in.recovery-code', { client: CLIENT, flow: first.flow, code: typed })).next
  }
  t.strictSame((await Promise.all([tryCode(code), tryCode(code)])).sort(), ['refused', 'signed-in'])
  t.equal(await tryCode(code), 'refused')
  t.equal(await tryCode(other.toUpperCase().replaceAll('-', ' ').replaceAll('0', 'O')), 'signed-in', 'as people type')
  t.match(await h.ask('methods.list', { session: ann.session }), { recoveryCodes: { left: 8 } })
  const { codes } = await h.ask('recovery-codes.renew', { client: CLIENT, session: ann.session })
  t.equal(await tryCode(ann.recoveryCodes[5] ?? ''), 'refused', 'the old set is worth nothing')
  t.equal(await tryCode(codes[5] ?? ''), 'signed-in')
  const row = await h.store.people.recoveryCodesOf((await h.call('user.show', { address: 'ann@a.test' })).id)
  t.match(row, { left: 9 })
})

t.test('H9: what changes something takes a factor within five minutes, which the keeper verified', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const { session } = ann
  h.pass(5 * 60_000 + 1)
  t.match(await h.ask('session.show', { client: CLIENT, session }), { freshUntil: null })
  const stale = { code: 'step-up-needed' }
  await t.rejects(h.ask('app-password.issue', { client: CLIENT, session, name: 'x' }), stale)
  await t.rejects(h.ask('totp.begin', { session }), stale)
  await t.rejects(h.ask('passkey.begin', { session }), stale)
  await t.rejects(h.ask('recovery-codes.renew', { client: CLIENT, session }), stale)
  await t.rejects(h.ask('method.delete', { client: CLIENT, session, kind: 'totp', id: 'x' }), stale)
  await t.rejects(h.ask('set-up.create', { client: CLIENT, session, name: 'x', kind: 'imap' }), stale)
  t.ok(await h.ask('methods.list', { session }), 'looking takes none')

  const wrong = await h.ask('step-up.totp', { client: CLIENT, session, code: '000000' })
  t.match(wrong, { next: 'refused', why: 'bad-credentials' })
  const code = codeOf(ann.seed, h.time.at)
  const stepped = await h.ask('step-up.totp', { client: CLIENT, session, code })
  if (stepped.next !== 'signed-in') throw new Error('refused')
  t.equal(await h.ask('session.show', { client: CLIENT, session }), null, 'H2: a new token at step-up')
  const fresh = stepped.session.token
  t.ok(await h.ask('app-password.issue', { client: CLIENT, session: fresh, name: 'x' }))
  t.equal(stepped.session.expiresAt, '2026-03-02T00:00:00.000Z', 'stepping up makes it no longer')
})

t.test('H2: a session ends after 30 minutes without a look, and after 12 hours with', async (t) => {
  const h = await peopleHouse(t)
  const ann = await enrol(h, 'ann@a.test')
  const alive = async () => (await h.ask('session.show', { client: CLIENT, session: ann.session })) !== null
  h.pass(29 * 60_000)
  t.ok(await alive())
  h.pass(29 * 60_000)
  t.ok(await alive(), 'looking is being there')
  h.pass(30 * 60_000)
  t.notOk(await alive())
  await signIn(h, ann)
  for (let i = 0; i < 35; i++) {
    h.pass(20 * 60_000)
    t.ok(await alive())
  }
  h.pass(20 * 60_000)
  t.notOk(await alive(), 'twelve hours')
  await signIn(h, ann)
  const other = ann.session
  await signIn(h, ann)
  t.match(await h.ask('session.sign-out-others', { session: ann.session }), { ended: 1 })
  t.equal(await h.ask('session.show', { client: CLIENT, session: other }), null)
  await h.ask('session.language', { session: ann.session, language: 'nl' })
  const { entries } = await h.call('audit.list', { user: 'ann@a.test', order: 'newest', limit: 2 })
  const by = `user:${(await h.call('user.show', { address: 'ann@a.test' })).id}`
  t.match(entries, [
    { event: 'user_language_set', actor: by, detail: { language: 'nl' } },
    { event: 'portal_sessions_ended', actor: by, detail: { count: 1 } },
  ])
  await h.call('user.disable', { address: 'ann@a.test' })
  t.notOk(await alive(), 'a disabled user has no session')
})

t.test(
  'somebody without a password chooses one when it enrols with an app; a new one ends the other sessions',
  async (t) => {
    const h = await peopleHouse(t)
    await h.call('user.add', { address: 'ann@a.test' })
    const invitation = await invitationFor(h, 'ann@a.test')
    const accepted = await h.ask('invitation.accept', { client: CLIENT, invitation })
    if (accepted.next !== 'signed-in') throw new Error('refused')
    const early = h.ask('password.set', { client: CLIENT, session: accepted.session.token, password: PASSWORD })
    await t.rejects(early, { code: 'step-up-needed' })
    const added = await addApp(h, accepted.session.token)
    t.match(await h.ask('session.show', { client: CLIENT, session: added.session }), {
      enrolment: ['password', 'app-password'],
      user: { hasPassword: false },
    })
    await t.rejects(h.ask('enrolment.finish', { session: added.session }), { code: 'forbidden' })
    const short = h.ask('password.set', { client: CLIENT, session: added.session, password: 'short' })
    await t.rejects(short, { code: 'invalid' })
    const { token } = await h.ask('password.set', { client: CLIENT, session: added.session, password: PASSWORD })
    await h.ask('enrolment.finish', { session: token })
    const ann = { address: 'ann@a.test', seed: added.seed, recoveryCodes: [], session: token }
    await signIn(h, ann)
    t.ok(await h.ask('session.show', { client: CLIENT, session: token }))
    const changed = await h.ask('password.set', { client: CLIENT, session: ann.session, password: 'another horse 2' })
    t.equal(await h.ask('session.show', { client: CLIENT, session: token }), null, 'the other session is over')
    t.ok(await h.ask('session.show', { client: CLIENT, session: changed.token }))
    const old = await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password: PASSWORD })
    t.match(old, { next: 'refused', why: 'bad-credentials' })
    const fresh = await h.ask('sign-in.password', { client: CLIENT, user: 'ann@a.test', password: 'another horse 2' })
    t.match(fresh, { next: 'second-step' })
  },
)
