/**
 * What is around every page: head, navigation, what has just been done, and the language.
 */

import type { Language } from '../../../contract/languages.ts'
import type { Ended, Note } from '../cookies.ts'
import type { Html, HtmlValue } from '../html.ts'
import { html } from '../html.ts'
import { messagesOf } from '../messages.ts'
import { localPath, paths } from '../paths.ts'
import { homeOf } from '../settings.ts'
import type { Visit } from '../visit.ts'

export interface LayoutOptions {
  readonly title: string
  /** Loads the passkey script. */
  readonly passkeys?: boolean
  /** Which entry of the navigation this is. */
  readonly here?: 'home' | 'sessions' | 'profile' | 'help' | 'admin'
  /** Tables want room. */
  readonly wide?: boolean
}

export function layout(
  visit: Visit,
  { title, passkeys, here, wide }: LayoutOptions,
  ...content: readonly HtmlValue[]
): Html {
  const { words, portal, settings, language } = visit
  const { assets } = portal
  return html`<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${settings.name}</title>
<link rel="stylesheet" href="${assets.style}">
<link rel="icon" href="${assets.icon}" type="image/svg+xml">
${passkeys && html`<script src="${assets.passkeys}" defer></script>`}
<script src="${assets.script}" defer></script>
</head>
<body>
<a class="skip" href="#content">${words.skip}</a>
<header class="top">
<a class="brand" href="${visit.session ? homeOf(settings) : '/sign-in'}"><img src="${assets.icon}" alt="" width="28" height="28">${settings.name}</a>
${navigation(visit, here)}
</header>
<main id="content"${wide && html` class="wide"`}>
${visit.note && note(visit, visit.note)}
${content}
</main>
<footer>
${languages(visit)}
<a href="${paths.help()}">${words.nav.help}</a>
</footer>
</body>
</html>
`
}

function navigation(visit: Visit, here: LayoutOptions['here']): Html {
  const { words, session, settings } = visit
  if (session === null || session.view.stage === 'enrolling') {
    return html`<nav aria-label="${words.nav.label}">${session && signOut(visit)}</nav>`
  }
  const link = (to: string, text: string, name: LayoutOptions['here']): Html =>
    html`<a href="${to}"${name === here && html` aria-current="page"`}>${text}</a>`
  return html`<nav aria-label="${words.nav.label}">
${link(homeOf(settings), words.nav.securityInfo, 'home')}
${link('/sessions', words.nav.sessions, 'sessions')}
${settings.entryPoints.includes('/profile') && link('/profile', words.nav.profile, 'profile')}
${session.view.user.admin && link('/admin', words.nav.admin, 'admin')}
${signOut(visit)}
</nav>`
}

function signOut(visit: Visit): Html {
  return html`<form method="post" action="/sign-out">${token(visit)}<button class="plain">${visit.words.nav.signOut}</button></form>`
}

/** The field that every form carries (threats H1). */
export const token = ({ csrf }: Visit): Html => html`<input type="hidden" name="csrf" value="${csrf}">`

function languages(visit: Visit): Html | null {
  const { settings, language, words } = visit
  if (settings.languages.length < 2) return null
  const button = (each: Language): Html =>
    each === language
      ? html`<span aria-current="true">${messagesOf(each).languageName}</span>`
      : html`<button class="plain" name="language" value="${each}" lang="${each}">${messagesOf(each).languageName}</button>`
  return html`<form method="post" action="/language" class="languages" aria-label="${words.chooseLanguage}">
${token(visit)}<input type="hidden" name="next" value="${localPath(visit.returnTo) ?? '/'}">
${settings.languages.map(button)}
</form>`
}

/** What was done, with a way to take the message away: a link to the same page, which no longer says it (R25). */
function note(visit: Visit, said: Note): Html {
  const isBad = ['last-method', 'not-allowed', 'for-administrators'].includes(said.kind)
  return html`<div class="note${isBad && ' bad'}" role="status" tabindex="-1" data-note>
<p>${noteText(visit, said)}</p>
<a class="close" href="${localPath(visit.returnTo) ?? '/'}" data-dismiss aria-label="${visit.words.common.close}">×</a>
</div>`
}

function noteText({ words }: Visit, said: Note): string {
  const { notes } = words

  /** What was done, how many connections that ended, and whether somebody has not said so yet (M2). `none`: in place of no number. */
  function withEnded(done: string, { sessions, partly }: Ended, none: string): string {
    const nothing = partly ? '' : none
    const parts = [done, sessions === 0 ? nothing : notes.connectionsEnded(sessions), partly ? notes.partly : '']
    return parts.filter((part) => part !== '').join(' ')
  }

  switch (said.kind) {
    case 'app-password-deleted':
    case 'device-blocked':
      return withEnded(notes[said.kind](said.name), said, notes.noneOpen)
    case 'app-passwords-deleted':
      return withEnded(notes[said.kind](said.count), said, notes.noneOpen)
    case 'user-disabled':
      return withEnded(notes[said.kind], said, notes.noneOpen)
    case 'policy-set':
      // It may have allowed something: then there is nothing to say about connections.
      return withEnded(notes[said.kind], said, '')
    case 'mail-sessions-ended':
      return withEnded('', said, notes.endedBefore)
    case 'method-deleted':
    case 'method-added':
    case 'renamed':
    case 'user-added':
    case 'device-allowed':
    case 'device-forgotten':
      return notes[said.kind](said.name)
    case 'signed-out-others':
      return notes[said.kind](said.count)
    default:
      return notes[said.kind]
  }
}
