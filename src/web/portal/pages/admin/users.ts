/** The list of users, and a new one with the invitation for it. */

import type { IssuedInvitation, UserView } from '../../../../contract/services.ts'
import type { Html } from '../../html.ts'
import { html } from '../../html.ts'
import { paths } from '../../paths.ts'
import type { Visit } from '../../visit.ts'
import { alert, button, copyButton, field, form } from '../parts.ts'
import { adminPage } from './frame.ts'

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

export function tags({ words: { admin: t } }: Visit, user: UserView): readonly (Html | false)[] {
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
