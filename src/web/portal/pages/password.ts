/** Choosing a password for the portal: the other half of signing in with an authenticator app. */

import type { Html } from '../html.ts'
import { html } from '../html.ts'
import type { Visit } from '../visit.ts'
import { stepsOf } from './enrol.ts'
import { layout } from './layout.ts'
import { button, field, form, steps } from './parts.ts'

export function choosePassword(visit: Visit, problem: string | null): Html {
  const { password: t, common } = visit.words
  const own = { type: 'password', autocomplete: 'new-password', maxlength: 256 } as const
  const view = visit.session?.view
  const isFirst = view?.stage === 'enrolling'
  const title = isFirst ? t.firstTitle : t.newTitle
  return layout(
    visit,
    { title, here: 'profile' },
    html`${isFirst && steps(visit, 2, stepsOf(view.appPasswords.allowed))}
<h1>${title}</h1>
<p>${t.intro}${!isFirst && html` ${t.others}`}</p>
${form(
  visit,
  isFirst ? '/enrol/password' : '/profile/password',
  field({ ...own, name: 'password', label: t.password, hint: t.hint, problem, focus: true }),
  field({ ...own, name: 'again', label: t.again }),
  html`<p class="buttons">${button(isFirst ? common.next : common.save)}${!isFirst && html`<a class="button quiet" href="/profile">${common.cancel}</a>`}</p>`,
)}`,
  )
}
