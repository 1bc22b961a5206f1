/** What stands around every page of administrators. */

import type { Html, HtmlValue } from '../../html.ts'
import { html } from '../../html.ts'
import { paths } from '../../paths.ts'
import type { Visit } from '../../visit.ts'
import { layout } from '../layout.ts'

export function adminPage(visit: Visit, title: string, ...content: readonly HtmlValue[]): Html {
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
