/** What is shown when there is nothing else to show. Each says what happened, whether anything was changed, and what to do. */

import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { localPath } from '../paths.ts'
import { homeOf } from '../settings.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'

function problem(visit: Visit, title: string, text: string, way: 'home' | 'retry' = 'home'): Html {
  const { words, settings } = visit
  const to = way === 'retry' ? (localPath(visit.returnTo) ?? '/') : visit.session ? homeOf(settings) : '/sign-in'
  return layout(
    visit,
    { title },
    html`<h1>${title}</h1>
<p>${text}</p>
<p><a class="button" href="${to}">${way === 'retry' ? words.errors.retry : words.errors.goHome}</a></p>`,
  )
}

export const notFound = (visit: Visit): Html =>
  problem(visit, visit.words.errors.notFound, visit.words.errors.notFoundText)

export const unavailable = (visit: Visit): Html =>
  problem(visit, visit.words.errors.unavailable, visit.words.errors.unavailableText, 'retry')

export const stale = (visit: Visit, text: string): Html => problem(visit, visit.words.errors.stale, text)

export const invalid = (visit: Visit): Html =>
  problem(visit, visit.words.errors.invalid, visit.words.errors.invalidText)

export const bug = (visit: Visit): Html => problem(visit, visit.words.errors.bug, visit.words.errors.bugText)

export const tooMuch = (visit: Visit): Html =>
  problem(visit, visit.words.errors.tooMuch, visit.words.errors.invalidText)
