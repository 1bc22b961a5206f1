/** Devices that wait for an administrator. */

import type { ServiceAnswer } from '../../../../contract/services.ts'
import type { Html } from '../../html.ts'
import { html } from '../../html.ts'
import { paths } from '../../paths.ts'
import type { Visit } from '../../visit.ts'
import { deviceRows } from '../devices.ts'
import { adminPage } from './frame.ts'

/** Devices that `eas.quarantine` keeps waiting, of everybody. */
export function waiting(visit: Visit, { devices, next }: ServiceAnswer<'device.list'>): Html {
  const { admin: t } = visit.words
  return adminPage(
    visit,
    t.waiting,
    html`<h1>${t.waiting}</h1>
<p>${t.waitingIntro}</p>
${
  devices.length === 0
    ? html`<p class="empty">${t.waitingNone}</p>`
    : deviceRows(visit, {
        devices,
        mayAllow: true,
        mayUndo: true,
        to: ({ user, id }, what) => paths.adminDevice(user, id, what, 'waiting'),
        owner: paths.adminUser,
        ask: null,
      })
}
${next !== null && html`<p><a class="button quiet" href="${paths.adminWaiting(next)}">${t.more}</a></p>`}`,
  )
}
