/** One user: its page, and what an administrator does to it. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { DeviceView, UserDetail } from '../../../../contract/services.ts'
import { ServiceError } from '../../../../contract/services.ts'
import type { Answer } from '../../answer.ts'
import { administrator, go, page } from '../../answer.ts'
import type { Note } from '../../cookies.ts'
import { noteOfEnded } from '../../cookies.ts'
import { deviceId, empty, formOf, id, text } from '../../form.ts'
import { POLICY } from '../../pages/admin/policies.ts'
import * as pages from '../../pages/admin/user.ts'
import { invited } from '../../pages/admin/users.ts'
import { deviceName } from '../../pages/devices.ts'
import { paths } from '../../paths.ts'
import type { Portal, SignedIn, Visit } from '../../visit.ts'
import { needsStepUp } from '../methods.ts'
import { ask } from './ask.ts'

const ofUser = z.strictObject({ address: text(254) })

export function userRoutes(app: FastifyInstance, portal: Portal): void {
  app.get(
    '/admin/users/:address',
    administrator(portal, async (visit) => {
      const user = await find(visit)
      const [list, { devices }, policy] = await Promise.all([
        ask(visit, 'app-password.list', { user: user.address }),
        ask(visit, 'device.list', { user: user.address }),
        ask(visit, 'policy.show', { user: user.address }),
      ])
      const own = policy.decidedBy.scope === 'user' ? policy.appPasswords : null
      return page(pages.user(visit, { user, appPasswords: list, devices, policy: own }))
    }),
  )

  /** Asks on a page of its own, with a factor that is fresh by then, what the form on it does. */
  function confirmed(
    what: string,
    ask: (visit: Visit, user: UserDetail) => pages.Question | Promise<pages.Question>,
    act: (visit: Visit, user: UserDetail) => Promise<Note | Answer>,
  ): void {
    const path = `/admin/users/:address/${what}`
    app.get(
      path,
      administrator(portal, async (visit, session) => {
        if (needsStepUp(session)) return go(paths.stepUp(visit.returnTo))
        const user = await find(visit)
        return page(pages.question(visit, listOf(visit, user), await ask(visit, user)))
      }),
    )
    app.post(path, changing(act))
  }

  function changing(act: (visit: Visit, user: UserDetail) => Promise<Note | Answer>) {
    return administrator(portal, async (visit: Visit, _: SignedIn) => {
      const user = await find(visit)
      const list = listOf(visit, user)
      visit.returnTo = list
      const done = await act(visit, user)
      if (!('kind' in done)) return done
      visit.leave(done)
      return go(list)
    })
  }

  confirmed(
    'disable',
    ({ words: { admin: t } }, { address }) => ({
      title: t.disableTitle(address),
      text: t.disableText,
      submit: t.disable,
    }),
    async (visit, { address }) => {
      visit.form(empty)
      return { kind: 'user-disabled', ...noteOfEnded(await ask(visit, 'user.disable', { address })) }
    },
  )

  app.post(
    '/admin/users/:address/enable',
    changing(async (visit, { address }) => {
      visit.form(empty)
      await ask(visit, 'user.enable', { address })
      return { kind: 'user-enabled' }
    }),
  )

  confirmed(
    'reset-two-step',
    ({ words: { admin: t } }, { address }) => ({
      title: t.resetTitle(address),
      text: t.resetText,
      submit: t.resetSubmit,
    }),
    async (visit, { address }) => {
      visit.form(empty)
      return page(invited(visit, await ask(visit, 'user.reset-two-step', { address })))
    },
  )

  app.post(
    '/admin/users/:address/invite',
    changing(async (visit, { address }) => {
      visit.form(empty)
      return page(invited(visit, await ask(visit, 'user.invite', { address })))
    }),
  )

  confirmed(
    'delete-app-passwords',
    ({ words: { admin: t } }, { address, appPasswords }) => ({
      title: t.deleteAllTitle(address),
      text: t.deleteAllText(appPasswords),
      submit: t.deleteAll,
    }),
    async (visit, { address }) => {
      visit.form(empty)
      const done = await ask(visit, 'app-password.delete-all', { user: address })
      return { kind: 'app-passwords-deleted', count: done.deleted.length, ...noteOfEnded(done) }
    },
  )

  confirmed(
    'app-passwords/:id/delete',
    async (visit, user) => {
      const { name } = await appPassword(visit, user)
      const { admin: t, appPassword: words } = visit.words
      return { title: words.deleteTitle(name), text: t.deleteOneText(user.address, name), submit: words.deleteSubmit }
    },
    async (visit, user) => {
      visit.form(empty)
      const found = await appPassword(visit, user)
      const done = await ask(visit, 'app-password.delete', { id: found.id })
      return { kind: 'app-password-deleted', name: found.name, ...noteOfEnded(done) }
    },
  )

  confirmed(
    'devices/:id/block',
    async (visit, user) => {
      const { devices: t } = visit.words
      const name = deviceName(visit, await device(visit, user))
      return { title: t.blockTitle(name), text: t.adminBlockText(user.address), submit: t.block }
    },
    async (visit, user) => {
      visit.form(empty)
      const { id } = await device(visit, user)
      const blocked = await ask(visit, 'device.block', { user: user.address, id })
      return { kind: 'device-blocked', name: deviceName(visit, blocked.device), ...noteOfEnded(blocked) }
    },
  )

  app.post(
    '/admin/users/:address/devices/:id/allow',
    changing(async (visit, user) => {
      visit.form(empty)
      const { id } = await device(visit, user)
      const allowed = await ask(visit, 'device.allow', { user: user.address, id })
      return { kind: 'device-allowed', name: deviceName(visit, allowed.device) }
    }),
  )

  confirmed(
    'devices/:id/forget',
    async (visit, user) => {
      const { devices: t } = visit.words
      const name = deviceName(visit, await device(visit, user))
      return { title: t.forgetTitle(name), text: t.adminForgetText(user.address), submit: t.forget }
    },
    async (visit, user) => {
      visit.form(empty)
      const found = await device(visit, user)
      await ask(visit, 'device.forget', { user: user.address, id: found.id })
      return { kind: 'device-forgotten', name: deviceName(visit, found) }
    },
  )

  app.post(
    '/admin/users/:address/policy',
    changing(async (visit, { address }) => {
      const { policy } = visit.form(formOf({ policy: POLICY }))
      const done = await ask(visit, 'policy.set', { scope: 'user', user: address, appPasswords: policy })
      return { kind: 'policy-set', ...noteOfEnded(done) }
    }),
  )
}

/** The page that what is done to a user was chosen on: the user's, unless the address says that it was the list of devices that wait. */
function listOf(visit: Visit, { address }: UserDetail): string {
  const { back } = visit.query(z.object({ back: z.literal('waiting').optional() }))
  return back === 'waiting' ? paths.adminWaiting() : paths.adminUser(address)
}

async function find(visit: Visit): Promise<UserDetail> {
  const { address } = visit.params(z.looseObject(ofUser.shape))
  return await ask(visit, 'user.show', { address })
}

/** One of this very user's; the address of the page and what is deleted can't be of two people. */
async function appPassword(
  visit: Visit,
  { address }: UserDetail,
): Promise<{ readonly id: string; readonly name: string }> {
  const { id: wanted } = visit.params(z.looseObject({ id }))
  const found = (await ask(visit, 'app-password.list', { user: address })).find((each) => each.id === wanted)
  if (found === undefined) throw new ServiceError('not-found', 'no such app password')
  return found
}

/** One of this very user's. */
async function device(visit: Visit, { address }: UserDetail): Promise<DeviceView> {
  const { id: wanted } = visit.params(z.looseObject({ id: deviceId }))
  const { devices } = await ask(visit, 'device.list', { user: address })
  const found = devices.find((each) => each.id === wanted)
  if (found === undefined) throw new ServiceError('not-found', 'no such device')
  return found
}
