/** The pages of administrators: users, one user, devices that wait, the policy, the audit trail. */

import { z } from 'zod'
import type {
  AppPasswordView,
  AuditView,
  DeviceView,
  IssuedInvitation,
  ServiceAnswer,
  UserDetail,
  UserView,
} from '../../../contract/services.ts'
import type { Html, HtmlValue } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { deviceRows, deviceSection } from './devices.ts'
import { layout } from './layout.ts'
import { alert, button, confirmation, copyButton, field, form, hidden } from './parts.ts'
import { appPasswordFacts } from './security-info.ts'

export const POLICY = z.enum(['allowed', 'forbidden', 'default'])

function adminPage(visit: Visit, title: string, ...content: readonly HtmlValue[]): Html {
  const { admin: t } = visit.words
  return layout(
    visit,
    { title, here: 'admin', wide: true },
    html`<ul class="tabs"><li><a href="${paths.adminUsers()}">${t.users}</a></li>${visit.settings.mail.activeSync !== null && html`<li><a href="${paths.adminWaiting()}">${t.waiting}</a></li>`}<li><a href="/admin/policy">${t.policies}</a></li><li><a href="/admin/audit">${t.audit}</a></li></ul>`,
    warnings(visit),
    content,
  )
}

/** Not to be overlooked: passwords that go somewhere in clear, and whatever else `check` warns of (threats A3). */
function warnings({ settings, words: { admin: t } }: Visit): Html | null {
  if (settings.warnings.length === 0) return null
  return html`<div class="alert" role="note"><p><strong>${t.warnings(settings.warnings.length)}</strong></p>
<ul>${settings.warnings.map((warning) => html`<li lang="en">${warning}</li>`)}</ul></div>`
}

export interface UsersPage {
  readonly users: readonly UserView[]
  readonly next: string | null
  readonly find: string
}

export function users(visit: Visit, { users, next, find }: UsersPage): Html {
  const { admin: t } = visit.words
  return adminPage(
    visit,
    t.users,
    html`<div class="title"><h1>${t.users}</h1><a class="button" href="/admin/users/new">${t.add}</a></div>
<form method="get" action="/admin" role="search" class="search">
${field({ name: 'find', label: t.find, type: 'search', value: find, hint: t.findHint, maxlength: 254, optional: true, focus: true })}
${button(t.findSubmit, 'quiet')}
</form>
${
  users.length === 0
    ? html`<p class="empty">${t.none}</p>`
    : html`<ul class="list">${users.map(
        (
          user,
        ) => html`<li><div><a href="${paths.adminUser(user.address)}"><strong class="name">${user.address}</strong></a>${tags(visit, user)}
<p class="facts">${[user.name, ...facts(visit, user)].filter((fact) => fact !== null).join(' · ')}</p></div></li>`,
      )}</ul>`
}
${next !== null && html`<p><a class="button quiet" href="${paths.adminUsers(find, next)}">${t.more}</a></p>`}`,
  )
}

function tags({ words: { admin: t } }: Visit, user: UserView): readonly (Html | false)[] {
  return [
    user.admin && html` <span class="tag">${t.administrator}</span>`,
    !user.enabled && html` <span class="tag bad">${t.disabled}</span>`,
  ]
}

function facts({ words: { admin: t }, format }: Visit, user: UserView): readonly string[] {
  return [
    user.enrolledAt === null ? t.notEnrolled : t.enrolled(format.when(user.enrolledAt)),
    t.appPasswords(user.appPasswords),
  ]
}

export interface NewUserForm {
  readonly address: string
  readonly name: string
  readonly groups: string
  readonly admin: boolean
}

export function newUser(visit: Visit, typed: NewUserForm, problem: string | null): Html {
  const { admin: t, common } = visit.words
  return adminPage(
    visit,
    t.add,
    html`<h1>${t.add}</h1>
${alert(problem)}
${form(
  visit,
  '/admin/users/new',
  field({ name: 'address', label: t.address, value: typed.address, inputmode: 'email', maxlength: 254, focus: true }),
  field({ name: 'name', label: t.name, value: typed.name, maxlength: 128, optional: true }),
  field({ name: 'groups', label: t.groups, value: typed.groups, hint: t.groupsHint, maxlength: 1024, optional: true }),
  html`<p class="check"><input type="checkbox" id="admin" name="admin" value="yes"${typed.admin && html` checked`}><label for="admin">${t.asAdmin}</label></p>
<p class="buttons">${button(t.addSubmit)}<a class="button quiet" href="/admin">${common.cancel}</a></p>`,
)}`,
  )
}

/** The only page that ever shows the link. */
export function invited(visit: Visit, { user, url, expiresAt }: IssuedInvitation): Html {
  const { admin: t, common } = visit.words
  return adminPage(
    visit,
    t.invited(user),
    html`<h1>${t.invited(user)}</h1>
<p>${t.invitedText(visit.format.until(expiresAt))}</p>
${
  url !== null &&
  html`<div class="secret"><p><code id="link" translate="no">${url}</code></p>
<p class="buttons">${copyButton(visit, 'link')}</p>
<p class="copy-status" role="status" data-copy-status></p></div>`
}
<p><a class="button" href="${paths.adminUser(user)}">${common.done}</a></p>`,
  )
}

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

function policyForm(
  visit: Visit,
  options: {
    action: string
    id: string
    label: string
    value: 'allowed' | 'forbidden' | null
    inherit: boolean
    group?: string
  },
): Html {
  const { admin: t } = visit.words
  const { value } = options
  const option = (name: string, text: string, isChosen: boolean): Html =>
    html`<option value="${name}"${isChosen && html` selected`}>${text}</option>`
  return html`<div class="inline">${form(
    visit,
    options.action,
    options.group !== undefined && hidden('group', options.group),
    html`<select name="policy" id="${options.id}" aria-label="${options.label}">${[
      options.inherit && option('default', t.policyInherit, value === null),
      option('allowed', t.policyAllowed, value === 'allowed'),
      option('forbidden', t.policyForbidden, value === 'forbidden'),
    ]}</select>`,
    button(t.policySet, 'quiet'),
  )}</div>`
}

export function policies(visit: Visit, { policies: list, next }: ServiceAnswer<'policy.list'>): Html {
  const { admin: t } = visit.words
  const everybody = list.find(({ scope }) => scope === 'all') // on the first page
  const groups = list.filter(({ scope }) => scope === 'group')
  const usersWith = list.filter(({ scope }) => scope === 'user')
  return adminPage(
    visit,
    t.policies,
    html`<h1>${t.policies}</h1>
<p>${t.policyIntro}</p>
<ul class="list">
${everybody !== undefined && html`<li><div><strong>${t.policyAll}</strong></div>${policyForm(visit, { action: '/admin/policy', id: 'all', label: t.policyAll, value: everybody.appPasswords, inherit: false })}</li>`}
${groups.map(({ subject, appPasswords }, index) => {
  const group = subject ?? ''
  const label = t.policyGroup(group)
  return html`<li><div><strong class="name">${label}</strong></div>${policyForm(visit, { action: '/admin/policy', id: `group-${index}`, label, value: appPasswords, inherit: true, group })}</li>`
})}
${usersWith.map(
  ({ subject, appPasswords }) =>
    html`<li><div><a href="${paths.adminUser(subject ?? '')}"><strong class="name">${subject}</strong></a></div><p>${appPasswords === 'allowed' ? t.policyAllowed : t.policyForbidden}</p></li>`,
)}
</ul>
${next !== null && html`<p><a class="button quiet" href="${paths.adminPolicy(next)}">${t.more}</a></p>`}
<h2>${t.policyOther}</h2>
${form(
  visit,
  '/admin/policy',
  field({ name: 'group', label: t.policyGroupName, maxlength: 64 }),
  html`<div class="field"><label for="new-policy">${t.policies}</label><select id="new-policy" name="policy"><option value="forbidden">${t.policyForbidden}</option><option value="allowed">${t.policyAllowed}</option></select></div>`,
  button(t.policySet, 'quiet'),
)}`,
  )
}

export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly AuditView[]
  /** Where the older ones go on; null: there are none. */
  readonly next: number | null
  /** Whether there are no newer ones before these. */
  readonly isFirst: boolean
  readonly user: string | null
  readonly hours: number
  readonly choices: readonly number[]
}

export function audit(visit: Visit, { entries, next, isFirst, user, hours, choices }: AuditPage): Html {
  const { admin: t } = visit.words
  const title = user === null ? t.audit : t.auditOf(user)
  const to = (since: number, before: number | null = null): string =>
    `/admin/audit?${new URLSearchParams({ ...(user !== null && { user }), hours: String(since), ...(before !== null && { before: String(before) }) })}`
  return adminPage(
    visit,
    title,
    html`<h1>${title}</h1>
<ul class="tabs">${choices.map((each) => html`<li><a href="${to(each)}"${each === hours && html` aria-current="true"`}>${t.auditSince(each)}</a></li>`)}</ul>
${
  entries.length === 0
    ? html`<p class="empty">${t.auditNone}</p>`
    : html`<div class="scroll" tabindex="0" role="region" aria-label="${title}"><table>
<thead><tr><th scope="col">${t.auditWhen}</th><th scope="col">${t.auditWhat}</th><th scope="col">${t.auditUser}</th><th scope="col">${t.auditWho}</th></tr></thead>
<tbody>${entries.map(
        ({ at, event, user: about, actor, detail }) =>
          html`<tr><td>${visit.format.utc(at)}</td><td>${event}<p class="facts">${details(detail)}</p></td><td>${about}</td><td>${actor}</td></tr>`,
      )}</tbody></table></div>`
}
${
  (next !== null || !isFirst) &&
  html`<p>${!isFirst && html`<a class="button quiet" href="${to(hours)}">${t.auditNewest}</a> `}${
    next !== null && html`<a class="button quiet" href="${to(hours, next)}">${t.auditOlder}</a>`
  }</p>`
}`,
  )
}

function details(detail: AuditView['detail']): string {
  return Object.entries(detail)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => `${key}: ${value}`)
    .join(', ')
}
