/** One user: all that an administrator sees of it and may do, and the questions before what can't be undone. */

import type { AppPasswordView, DeviceView, UserDetail } from '../../../../contract/services.ts'
import type { Html } from '../../html.ts'
import { html } from '../../html.ts'
import { paths } from '../../paths.ts'
import type { Visit } from '../../visit.ts'
import { deviceSection } from '../devices.ts'
import { button, confirmation, form } from '../parts.ts'
import { appPasswordFacts } from '../security-info.ts'
import { adminPage } from './frame.ts'
import { policyForm } from './policies.ts'
import { tags } from './users.ts'

export interface UserPage {
  readonly user: UserDetail
  readonly appPasswords: readonly AppPasswordView[]
  readonly devices: readonly DeviceView[]
  /** The user's own setting; null: none. */
  readonly policy: 'allowed' | 'forbidden' | null
}

export function user(visit: Visit, { user, appPasswords, devices, policy }: UserPage): Html {
  const { admin: t, home, common } = visit.words
  const { when } = visit.format
  const to = (what: string): string => paths.adminUser(user.address, what)
  const kinds = { totp: home.totp, passkey: home.passkey, provider: home.provider }
  return adminPage(
    visit,
    user.address,
    html`<h1 class="name">${user.address}</h1>
<p class="facts">${[user.name, user.groups.join(', ') || null, t.created(when(user.createdAt))].filter((fact) => fact !== null).join(' · ')}${tags(visit, user)}</p>
<section aria-labelledby="methods"><h2 id="methods">${t.methods}</h2>
${
  user.methods.length === 0
    ? html`<p class="empty">${t.methodsNone}</p>`
    : html`<ul class="list">${user.methods.map(
        ({
          kind,
          name,
          createdAt,
          lastUsedAt,
        }) => html`<li><div><strong class="name">${name}</strong> <span class="tag">${kinds[kind]}</span>
<p class="facts">${[home.added(when(createdAt)), lastUsedAt !== null && home.used(when(lastUsedAt))].filter(Boolean).join(' · ')}</p></div></li>`,
      )}</ul>`
}
${user.recoveryCodes !== null && html`<p class="facts">${home.recoveryCodes}: ${home.codesLeft(user.recoveryCodes)}</p>`}
<div class="buttons">${
      user.methods.length === 0
        ? form(visit, to('invite'), button(t.newInvitation, 'quiet'))
        : html`<a class="button quiet" href="${to('reset-two-step')}">${t.resetTwoStep}</a>`
    }</div></section>
<section aria-labelledby="app-passwords"><h2 id="app-passwords">${home.appPasswords}</h2>
${
  appPasswords.length === 0
    ? html`<p class="empty">${t.appPasswords(0)}</p>`
    : html`<ul class="list">${appPasswords.map(
        (
          each,
        ) => html`<li><div><strong class="name">${each.name}</strong>${appPasswordFacts(visit, each).map((fact) => html`<p class="facts">${fact}</p>`)}</div>
<a class="button quiet small" href="${paths.adminAppPassword(user.address, each.id)}" aria-label="${common.deleteNamed(each.name)}">${common.delete}</a></li>`,
      )}</ul>`
}
${appPasswords.length > 1 && html`<p class="buttons"><a class="plain danger" href="${to('delete-app-passwords')}">${t.deleteAll}</a></p>`}
</section>
${deviceSection(visit, {
  devices,
  mayAllow: true,
  mayUndo: true,
  to: ({ id }, what) => paths.adminDevice(user.address, id, what),
  ask: null,
})}
<section aria-labelledby="policy"><h2 id="policy">${t.forUser}</h2>
${policyForm(visit, { action: to('policy'), id: 'policy-choice', label: t.forUser, value: policy, inherit: true })}
</section>
<section class="buttons">${
      user.enabled
        ? html`<a class="button danger" href="${to('disable')}">${t.disable}</a>`
        : form(visit, to('enable'), button(t.enable))
    }<a class="button quiet" href="${paths.adminAudit(user.address)}">${t.audit}</a></section>`,
  )
}

export interface Question {
  readonly title: string
  readonly text: string
  readonly submit: string
}

export function question(visit: Visit, back: string, asked: Question): Html {
  return adminPage(visit, asked.title, confirmation(visit, { ...asked, action: visit.returnTo, back }))
}
