/** The help page, to which every refusal points (M4): who needs an app password, where they are, and how programs are set up. */

import type { Html } from '../html.ts'
import { html } from '../html.ts'
import type { Messages } from '../messages.ts'
import { paths } from '../paths.ts'
import type { MailPort } from '../settings.ts'
import { homeOf } from '../settings.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'

export type ProgramName = keyof Messages['programs']

/** Which ways each program takes, as far as the server offers them. */
const PROGRAMS: Readonly<Record<ProgramName, { readonly incoming: boolean; readonly activeSync: boolean }>> = {
  'outlook-2010': { incoming: true, activeSync: false },
  'apple-mail': { incoming: true, activeSync: false },
  iphone: { incoming: true, activeSync: true },
  android: { incoming: true, activeSync: true },
  thunderbird: { incoming: true, activeSync: false },
  scanner: { incoming: false, activeSync: false },
}
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as readonly ProgramName[]

/** `allowed` false: app passwords are not mentioned (R29). */
export function help(visit: Visit, allowed: boolean): Html {
  const { help: t, programs } = visit.words
  const section = (title: string, ...content: readonly Html[]): Html =>
    html`<section><h2>${title}</h2>${content}</section>`
  const items = (list: readonly string[]): Html => html`<ul>${list.map((item) => html`<li>${item}</li>`)}</ul>`
  return layout(
    visit,
    { title: t.title, here: 'help' },
    html`<h1>${t.title}</h1>
${
  allowed
    ? html`${section(
        t.which,
        html`<p>${t.whichIntro}</p>
<div class="columns"><div><h3>${t.needs}</h3>${items(t.needsList)}</div><div><h3>${t.needsNone}</h3>${items(t.needsNoneList)}</div></div>
<p>${t.unsure}</p>`,
      )}
${section(t.where, html`<p>${t.whereText}</p><p><a class="button" href="${homeOf(visit.settings)}">${t.whereLink}</a></p><p class="hint">${t.signInFirst}</p>`)}
${section(t.refused, items(t.refusedText))}
${section(t.lost, html`<p>${t.lostText}</p>`)}`
    : html`<p>${t.plain}</p>`
}
<section id="set-up"><h2>${t.setUp}</h2><p>${t.setUpIntro}</p>
<ul class="choices">${PROGRAM_NAMES.map((name) => html`<li><a href="${paths.help(name)}"><strong>${programs[name].title}</strong></a></li>`)}</ul></section>
${section(t.manage, html`<p>${allowed && t.manageText} <a href="${homeOf(visit.settings)}">${t.whereLink}</a></p>`)}`,
  )
}

export function program(visit: Visit, name: ProgramName, allowed: boolean): Html {
  const { settings: t, programs, nav } = visit.words
  const { incoming, activeSync } = PROGRAMS[name]
  const { mail } = visit.settings
  const user = visit.session?.view.user.address ?? t.yourAddress
  const table = (title: string, rows: readonly (readonly [string, string])[]): Html =>
    html`<table class="settings"><caption>${title}</caption><tbody>${[
      ...rows,
      [t.user, user] as const,
      [t.password, allowed ? t.appPassword : t.usualPassword] as const,
    ].map(([label, value]) => html`<tr><th scope="row">${label}</th><td>${value}</td></tr>`)}</tbody></table>`
  const server = (title: string, ports: readonly MailPort[]): Html | null => {
    const [best] = ports
    if (best === undefined) return null
    return table(title, [
      [t.server, mail.host],
      [t.port, String(best.port)],
      [t.encryption, t[best.tls]],
    ])
  }
  const title = programs[name].title
  return layout(
    visit,
    { title, here: 'help' },
    html`<p><a href="${paths.help()}">${nav.help}</a></p>
<h1>${title}</h1>
<ol class="how">
${allowed && html`<li><p><a href="${paths.newAppPassword()}">${t.makeOne}</a></p></li>`}
${programs[name].steps.map((step) => html`<li><p>${step}</p></li>`)}
</ol>
<h2>${t.title}</h2>
${incoming && server(`${t.incoming} (IMAP)`, mail.imap)}
${incoming && mail.imap.length === 0 && server(`${t.incoming} (POP3)`, mail.pop3)}
${server(t.outgoing, mail.smtp)}
${activeSync && mail.activeSync !== null && table(t.activeSync, [[t.server, mail.activeSync]])}`,
  )
}
