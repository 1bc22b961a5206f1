/** Phones and tablets that come by ActiveSync (M6), as their owner sees them and as an administrator does. */

import type { DeviceView } from '../../../contract/services.ts'
import type { Html, HtmlValue } from '../html.ts'
import { html } from '../html.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'
import { confirmation, deleteLink, form } from './parts.ts'

export interface DeviceList {
  readonly devices: readonly DeviceView[]
  /** Whether whoever looks can let one in. */
  readonly mayAllow: boolean
  /** Whether whoever looks can undo what an administrator has blocked. */
  readonly mayUndo: boolean
  /** Addresses of what can be done. */
  readonly to: (device: DeviceView, what: DeviceAction) => string
  /** Where the list is of many users: the address of a user's page. */
  readonly owner?: (user: string) => string
  /** With the same words that the page would ask; null: the page itself asks, there is no dialog. */
  readonly ask: ((device: DeviceView, what: DeviceQuestion) => Asked) | null
}

export type DeviceAction = 'block' | 'allow' | 'forget'
/** What is asked before it is done. */
export type DeviceQuestion = Exclude<DeviceAction, 'allow'>

export interface Asked {
  readonly title: string
  readonly text: string
  readonly submit: string
}

/** Nothing where there are none: most people have no such device. */
export function deviceSection(visit: Visit, list: DeviceList): Html | false {
  const { devices: t } = visit.words
  const isWaiting = list.devices.some(({ state }) => state === 'waiting')
  const isKept = list.devices.some((device) => isOutOfReach(device, list))
  return (
    list.devices.length > 0 &&
    html`<section aria-labelledby="devices">
<h2 id="devices">${t.title}</h2>
${isWaiting && !list.mayAllow && html`<p class="hint">${t.waitingHint}</p>`}
${isKept && html`<p class="hint">${t.blockedHint}</p>`}
${deviceRows(visit, list)}
</section>`
  )
}

export function deviceRows(visit: Visit, list: DeviceList): Html {
  return html`<ul class="list">${list.devices.map((each) => row(visit, each, list))}</ul>`
}

/** Whoever looks can change nothing about it. */
function isOutOfReach({ blockedBy }: DeviceView, { mayUndo }: Pick<DeviceList, 'mayUndo'>): boolean {
  return blockedBy === 'administrator' && !mayUndo
}

function row(visit: Visit, device: DeviceView, list: DeviceList): Html {
  const { mayAllow, to, ask, owner } = list
  const { devices: t } = visit.words
  const { when } = visit.format
  const { id, user, agent, state, firstSeenAt, lastSeenAt, lastIp } = device
  const name = deviceName(visit, device)
  const which = owner === undefined ? name : t.ofUser(name, user)
  const labels: Readonly<Record<DeviceAction, readonly [string, string]>> = {
    block: [t.block, t.blockNamed(which)],
    allow: [t.allow, t.allowNamed(which)],
    forget: [t.forget, t.forgetNamed(which)],
  }
  const link = (what: DeviceQuestion): HtmlValue => {
    const [label, named] = labels[what]
    return ask === null
      ? html`<a class="button quiet small" href="${to(device, what)}" aria-label="${named}">${label}</a>`
      : deleteLink({ page: to(device, what), ...ask(device, what), label, named })
  }
  const [allowLabel, allowNamed] = labels.allow
  return html`<li><div><strong class="name">${name}</strong> ${stateTag(visit, device)}
${owner !== undefined && html`<p class="facts"><a class="name" href="${owner(user)}">${user}</a></p>`}
<p class="facts">${[agent !== null && agent !== name && agent, t.id(id)].filter(Boolean).join(' · ')}</p>
<p class="facts">${t.seen(when(firstSeenAt), when(lastSeenAt), lastIp)}</p></div>
${!isOutOfReach(device, list) && html`<div class="row-buttons">${state !== 'allowed' && mayAllow && form(visit, to(device, 'allow'), html`<button class="quiet small" aria-label="${allowNamed}">${allowLabel}</button>`)}${state !== 'blocked' && link('block')}${link('forget')}</div>`}</li>`
}

function stateTag({ words: { devices: t } }: Visit, { state, blockedBy }: DeviceView): Html {
  const kind = { allowed: 'tag live', blocked: 'tag bad', waiting: 'tag' }[state]
  return html`<span class="${kind}">${blockedBy === 'administrator' ? t.blockedByAdministrator : t.states[state]}</span>`
}

/** What it calls itself. */
export function deviceName({ words }: Visit, { type, agent }: DeviceView): string {
  return type ?? agent ?? words.devices.unnamed
}

/** What its owner is asked. */
export function ownQuestion(visit: Visit, device: DeviceView, what: DeviceQuestion, mayAllow: boolean): Asked {
  const { devices: t } = visit.words
  const name = deviceName(visit, device)
  if (what === 'block') {
    return { title: t.blockTitle(name), text: mayAllow ? t.blockText : t.blockTextForGood, submit: t.block }
  }
  return { title: t.forgetTitle(name), text: mayAllow ? t.forgetText : t.forgetTextWaits, submit: t.forget }
}

/** The same question on a page of its own, for browsers without scripts. */
export function confirmDevice(visit: Visit, action: string, asked: Asked): Html {
  return layout(
    visit,
    { title: asked.title, here: 'sessions' },
    confirmation(visit, { ...asked, action, back: '/sessions' }),
  )
}
