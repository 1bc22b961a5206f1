/** "Where am I signed in?": mail programs that are connected now, by device, phones, and browsers at this portal. */

import type { OwnDevices } from '../../../contract/portal/devices.ts'
import type { OtherSession } from '../../../contract/portal/session.ts'
import type { SessionView } from '../../../contract/services.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { deviceSection, ownQuestion } from './devices.ts'
import { layout } from './layout.ts'
import { button, confirmDialog, form } from './parts.ts'

export interface SessionsPage {
  readonly mail: readonly SessionView[]
  readonly portal: readonly OtherSession[]
  readonly own: OwnDevices
}

export function sessions(visit: Visit, { mail, portal, own }: SessionsPage): Html {
  const { sessions: t } = visit.words
  const { devices, mayAllow } = own
  const byDevice = Map.groupBy(mail, ({ appPassword }) => appPassword?.name ?? t.primary)
  return layout(
    visit,
    { title: t.title, here: 'sessions' },
    html`<h1>${t.title}</h1>
<section aria-labelledby="mail">
<h2 id="mail">${t.mail}</h2>
${
  mail.length === 0
    ? html`<p class="empty">${t.mailNone}</p>`
    : html`${[...byDevice].map(([name, open]) => device(visit, name, open))}<p class="hint">${t.endHint}</p>`
}
</section>
${deviceSection(visit, {
  devices,
  mayAllow,
  mayUndo: false,
  to: ({ id }, what) => paths.device(id, what),
  ask: (each, what) => ownQuestion(visit, each, what, mayAllow),
})}
<section aria-labelledby="portal">
<h2 id="portal">${t.portal}</h2>
<ul class="list">${portal.map((each) => browser(visit, each))}</ul>
${portal.length > 1 && form(visit, '/sessions/sign-out-others', button(t.signOutOthers, 'quiet'))}
</section>
${devices.length > 0 && confirmDialog(visit)}`,
  )
}

function device(visit: Visit, name: string, open: readonly SessionView[]): Html {
  const { sessions: t, protocols } = visit.words
  return html`<h3 class="name">${name}</h3>
<ul class="list">${open.map(
    ({
      id,
      protocol,
      ip,
      startedAt,
    }) => html`<li><p>${t.since(protocols[protocol] ?? protocol, ip, visit.format.when(startedAt))}</p>
${form(visit, paths.endMailSession(id), html`<button class="quiet small" aria-label="${t.endNamed(name)}">${t.end}</button>`)}</li>`,
  )}</ul>`
}

function browser(visit: Visit, { agent, current, seenAt, ip }: OtherSession): Html {
  const { sessions: t, common } = visit.words
  return html`<li><div><strong>${browserName(agent) ?? common.unknownDevice}</strong>${current && html` <span class="tag live">${t.here}</span>`}
<p class="facts">${t.other(visit.format.when(seenAt), ip)}</p></div></li>`
}

/** Browser and system, as far as the user agent says; the rest of it means nothing to anybody. */
function browserName(agent: string | null): string | null {
  if (agent === null) return null
  const find = (known: readonly (readonly [RegExp, string])[]) => known.find(([pattern]) => pattern.test(agent))?.[1]
  const browser = find(BROWSERS)
  const system = find(SYSTEMS)
  return browser === undefined ? agent.slice(0, 60) : system === undefined ? browser : `${browser}, ${system}`
}

const BROWSERS = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/Chrome\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
] as const
const SYSTEMS = [
  [/iPhone/, 'iPhone'],
  [/iPad/, 'iPad'],
  [/Android/, 'Android'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'Mac'],
  [/Linux/, 'Linux'],
] as const
