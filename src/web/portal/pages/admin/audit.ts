/** The audit trail, newest first. */

import type { AuditView } from '../../../../contract/services.ts'
import type { Html } from '../../html.ts'
import { html } from '../../html.ts'
import type { Visit } from '../../visit.ts'
import { adminPage } from './frame.ts'

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
