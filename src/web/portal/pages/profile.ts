/** Who the person is, as the account says, and the language of these pages. */

import type { MethodList } from '../../../contract/portal/methods.ts'
import type { PortalSessionView } from '../../../contract/portal/session.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { messagesOf } from '../messages.ts'
import type { Visit } from '../visit.ts'
import { layout, token } from './layout.ts'
import { button, confirmDialog } from './parts.ts'
import { secondSteps } from './security-info.ts'

export function profile(visit: Visit, { user }: PortalSessionView, methods: MethodList): Html {
  const { words } = visit
  const { profile: t, common, nav } = words
  return layout(
    visit,
    { title: t.title, here: 'profile' },
    html`<h1>${t.title}</h1>
<dl class="facts-list">
${user.name !== null && html`<dt>${t.name}</dt><dd class="name">${user.name}</dd>`}
<dt>${t.address}</dt><dd class="name">${user.address}</dd>
</dl>
<p class="hint">${t.nameHint}</p>
${
  visit.settings.languages.length > 1 &&
  html`<form method="post" action="/language">${token(visit)}<input type="hidden" name="next" value="/profile">
<div class="field"><label for="language">${t.language}</label>
<select id="language" name="language">${visit.settings.languages.map(
    (each) =>
      html`<option value="${each}" lang="${each}"${each === visit.language && html` selected`}>${messagesOf(each).languageName}</option>`,
  )}</select></div>
${button(common.save, 'quiet')}</form>`
}
${user.hasPassword && html`<p><a class="button quiet" href="/profile/password">${words.password.change}</a></p>`}
${secondSteps(visit, methods)}
<form method="post" action="/sign-out">${token(visit)}<p>${button(nav.signOut, 'quiet')}</p></form>
${confirmDialog(visit)}`,
  )
}
