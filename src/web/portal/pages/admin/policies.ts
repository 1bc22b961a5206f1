/** Who may have app passwords: everybody, groups, single users. */

import { z } from 'zod'
import type { ServiceAnswer } from '../../../../contract/services.ts'
import type { Html } from '../../html.ts'
import { html } from '../../html.ts'
import { paths } from '../../paths.ts'
import type { Visit } from '../../visit.ts'
import { button, field, form, hidden } from '../parts.ts'
import { adminPage } from './frame.ts'

export const POLICY = z.enum(['allowed', 'forbidden', 'default'])

export function policyForm(
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
