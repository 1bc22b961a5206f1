/** What people do with their own phones and tablets that come by ActiveSync (M6); the list is on the page of sessions. */

import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { DeviceView } from '../../../contract/services.ts'
import { ServiceError } from '../../../contract/services.ts'
import { go, page, signedIn } from '../answer.ts'
import { noteOfEnded } from '../cookies.ts'
import { deviceId, empty } from '../form.ts'
import type { DeviceQuestion } from '../pages/devices.ts'
import { confirmDevice, deviceName, ownQuestion } from '../pages/devices.ts'
import { paths } from '../paths.ts'
import type { Portal, SignedIn, Visit } from '../visit.ts'
import { needsStepUp } from './methods.ts'

const one = z.strictObject({ id: deviceId })

export function ownDeviceRoutes(app: FastifyInstance, portal: Portal): void {
  for (const what of ['block', 'forget'] as const) {
    app.get(
      `/sessions/devices/:id/${what}`,
      signedIn(portal, async (visit, session) => {
        // Taking access away is never made hard: a block asks for no factor.
        if (what === 'forget' && needsStepUp(session)) return go(paths.stepUp(visit.returnTo))
        return await question(visit, session, what)
      }),
    )
  }

  app.post(
    '/sessions/devices/:id/block',
    signedIn(portal, async (visit, session) => {
      visit.form(empty)
      const { id } = visit.params(one)
      visit.returnTo = paths.device(id, 'block')
      const blocked = await visit.call('device.block', { client: visit.client, session: session.token, id })
      visit.leave({ kind: 'device-blocked', name: deviceName(visit, blocked.device), ...noteOfEnded(blocked) })
      return go('/sessions')
    }),
  )

  app.post(
    '/sessions/devices/:id/allow',
    signedIn(portal, async (visit, session) => {
      visit.form(empty)
      visit.returnTo = '/sessions'
      const asked = { client: visit.client, session: session.token, ...visit.params(one) }
      await unlessForbidden(visit, async () => {
        const { device } = await visit.call('device.allow', asked)
        visit.leave({ kind: 'device-allowed', name: deviceName(visit, device) })
      })
      return go('/sessions')
    }),
  )

  app.post(
    '/sessions/devices/:id/forget',
    signedIn(portal, async (visit, session) => {
      visit.form(empty)
      const { id } = visit.params(one)
      visit.returnTo = paths.device(id, 'forget')
      const { device } = await find(visit, session)
      await unlessForbidden(visit, async () => {
        await visit.call('device.forget', { client: visit.client, session: session.token, id })
        visit.leave({ kind: 'device-forgotten', name: deviceName(visit, device) })
      })
      return go('/sessions')
    }),
  )
}

/** What an administrator has decided since the page was made is said in its own words. */
async function unlessForbidden(visit: Visit, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ServiceError && error.code === 'forbidden')) throw error
    visit.leave({ kind: 'for-administrators' })
  }
}

async function question(visit: Visit, session: SignedIn, what: DeviceQuestion) {
  const { device, mayAllow } = await find(visit, session)
  return page(confirmDevice(visit, paths.device(device.id, what), ownQuestion(visit, device, what, mayAllow)))
}

/** One of the person's own; anybody else's is not there (threats H7). */
async function find(
  visit: Visit,
  { token: session }: SignedIn,
): Promise<{ readonly device: DeviceView; readonly mayAllow: boolean }> {
  const { id } = visit.params(one)
  const { devices, mayAllow } = await visit.call('device.list', { session })
  const device = devices.find((each) => each.id === id)
  if (device === undefined) throw new ServiceError('not-found', 'no such device')
  return { device, mayAllow }
}
