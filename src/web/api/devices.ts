/**
 * /devices and /users/{user}/devices: what has come by ActiveSync, and keeping it out.
 */

import { z } from 'zod'
import { DEVICE_STATES } from '../../contract/services/devices.ts'
import { PAGE, page, pageOf } from './paging.ts'
import { route, USER } from './route.ts'
import { Device, DeviceBlocked, DeviceChanged, DeviceForgotten } from './views.ts'

const tag = 'Devices'
const WHICH = USER.extend({ id: z.string().min(1).max(128).describe('Id of a device, as in the list.') })

const state = z.enum(DEVICE_STATES).optional().describe('Only those in this state.')
/** As the service takes it: what is left out is not there. */
const only = (wanted: z.output<typeof state>) => (wanted === undefined ? {} : { state: wanted })

export const DEVICE_ROUTES = [
  route({
    verb: 'GET',
    path: '/devices',
    id: 'listAllDevices',
    tag,
    summary: 'List the devices of all users that have come by ActiveSync',
    description: 'In the order in which they came. With state=waiting: those that wait to be allowed (eas.quarantine).',
    service: 'device.list',
    query: PAGE.extend({ state }),
    answer: pageOf(Device),
    ask: ({ query: { state, cursor, limit } }) => ({ ...only(state), after: cursor ?? null, limit }),
    tell: ({ devices, next }) => page(devices, next),
  }),
  route({
    verb: 'GET',
    path: '/users/{user}/devices',
    id: 'listDevices',
    tag,
    summary: 'List the devices of a user that have come by ActiveSync',
    service: 'device.list',
    params: USER,
    query: z.strictObject({ state }),
    answer: pageOf(Device),
    problems: ['not-found'],
    ask: ({ params: { user }, query: { state } }) => ({ ...only(state), user }),
    tell: ({ devices, next }) => page(devices, next),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/devices/{id}/block',
    id: 'blockDevice',
    tag,
    summary: 'Keep a device out from now on',
    description: 'Its requests under way end. Its app password goes on working elsewhere.',
    service: 'device.block',
    params: WHICH,
    answer: DeviceBlocked,
    problems: ['not-found'],
    ask: ({ params }) => params,
    tell: (blocked) => ({ body: blocked }),
  }),
  route({
    verb: 'POST',
    path: '/users/{user}/devices/{id}/allow',
    id: 'allowDevice',
    tag,
    summary: 'Let in a device that waits or was blocked',
    service: 'device.allow',
    params: WHICH,
    answer: DeviceChanged,
    problems: ['not-found'],
    ask: ({ params }) => params,
    tell: (allowed) => ({ body: allowed }),
  }),
  route({
    verb: 'DELETE',
    path: '/users/{user}/devices/{id}',
    id: 'forgetDevice',
    tag,
    summary: 'Forget a device',
    description: 'It is new when it comes again, and app passwords that were its own are nobody’s.',
    service: 'device.forget',
    params: WHICH,
    answer: DeviceForgotten,
    problems: ['not-found'],
    ask: ({ params }) => params,
    tell: (forgotten) => ({ body: forgotten }),
  }),
]
