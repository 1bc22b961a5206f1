/** Confirming once more, before something is changed (threats H9). */

import type { SecondStep } from '../../../contract/portal/client.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'
import { alert, button, form, hidden } from './parts.ts'
import { otherWays, stepForm } from './sign-in.ts'

export interface StepUpPage {
  /** null: only a provider can do it. */
  readonly by: SecondStep | null
  readonly methods: readonly SecondStep[]
  readonly providers: readonly { readonly id: string; readonly name: string }[]
  readonly next: string
  readonly problem: string | null
}

export function stepUp(visit: Visit, { by, methods, providers, next, problem }: StepUpPage): Html {
  const t = visit.words.stepUp
  const keepNext = hidden('next', next)
  return layout(
    visit,
    { title: t.title, passkeys: by === 'passkey' },
    html`<h1>${t.title}</h1>
<p>${t.intro}</p>
${alert(problem)}
${by !== null && stepForm(visit, by, '/step-up', keepNext)}
<div class="ways">${providers.map(({ id, name }) =>
      form(
        visit,
        paths.stepUpProvider(id),
        keepNext,
        button(visit.words.signIn.provider(name), by === null ? 'primary' : 'quiet'),
      ),
    )}</div>
${otherWays(
  visit,
  methods.filter((method) => method !== by),
  (method) => paths.stepUp(next, method),
)}
<p><a href="/">${visit.words.common.cancel}</a></p>`,
  )
}
