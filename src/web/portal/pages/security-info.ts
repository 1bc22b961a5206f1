/** The security info page (R30–R32): everything that lets somebody in, in one list, and what they should know. */

import type { AliasView, MethodList, Notice, PortalAppPassword } from '../../../contract/portal/methods.ts'
import type { PortalSessionView } from '../../../contract/portal/session.ts'
import type { Html } from '../html.ts'
import { html } from '../html.ts'
import { paths } from '../paths.ts'
import type { Visit } from '../visit.ts'
import { layout } from './layout.ts'
import { confirmDialog, deleteLink, form } from './parts.ts'

export interface SecurityInfoPage {
  readonly session: PortalSessionView
  readonly methods: MethodList
  /** Of the entry point '/app-passwords': these alone. */
  readonly only: 'app-passwords' | null
}

export function securityInfo(visit: Visit, { session, methods, only }: SecurityInfoPage): Html {
  const { words } = visit
  const isListed = session.appPasswords.allowed || methods.appPasswords.length > 0
  // Where they are forbidden and there are none, this page is that of the other methods (R29).
  const alone = only === 'app-passwords' && isListed
  const title = alone ? words.home.appPasswords : words.home.title
  return layout(
    visit,
    { title, here: 'home' },
    html`<div class="title"><h1>${title}</h1><a class="button" href="/add">${words.home.add}</a></div>
${!alone && html`<p>${words.home.intro(session.user.address)}</p>`}
${notices(visit, methods.notices)}
${!alone && secondSteps(visit, methods)}
${isListed && appPasswords(visit, session, methods.appPasswords, alone)}
${isListed && methods.aliases.length > 0 && shortNames(visit, methods.aliases)}
${confirmDialog(visit)}`,
  )
}

export function secondSteps(visit: Visit, methods: MethodList): Html {
  const { home: t, common } = visit.words
  const { when } = visit.format
  const isLast = methods.totp.length + methods.passkeys.length + methods.providers.length === 1
  const row = (
    kind: 'totp' | 'passkey' | 'provider',
    id: string,
    name: string,
    label: string,
    facts: readonly (string | false)[],
  ): Html =>
    html`<li><div><strong class="name">${name}</strong>${name !== label && html` <span class="tag">${label}</span>`}<p class="facts">${facts.filter(Boolean).join(' · ')}</p></div>
${
  isLast
    ? html`<p class="hint">${t.lastMethod}</p>`
    : deleteLink({
        page: paths.deleteMethod(kind, id),
        title: visit.words.deleteMethod.title(name),
        text: visit.words.deleteMethod.text,
        submit: common.delete,
        label: common.delete,
        named: common.deleteNamed(name),
      })
}</li>`
  const used = (at: string | null): string | false => at !== null && t.used(when(at))
  const { recoveryCodes } = methods
  return html`<section aria-labelledby="methods">
<h2 id="methods">${t.methods}</h2>
<ul class="list">
${methods.totp.map((each) => row('totp', each.id, each.name, t.totp, [t.added(when(each.createdAt)), used(each.lastUsedAt)]))}
${methods.passkeys.map((each) =>
  row('passkey', each.id, each.name, t.passkey, [
    t.added(when(each.createdAt)),
    used(each.lastUsedAt),
    each.synced && t.synced,
  ]),
)}
${methods.providers.map((each) => row('provider', each.id, each.name, t.provider, [t.linked(when(each.linkedAt))]))}
<li><div><strong class="name">${t.recoveryCodes}</strong><p class="facts">${
    recoveryCodes === null
      ? t.codesNone
      : `${t.codesLeft(recoveryCodes.left)} · ${t.codesMade(when(recoveryCodes.madeAt))}`
  }</p></div>
<a class="button quiet small" href="/recovery-codes">${t.codesRenew}</a></li>
</ul>
</section>`
}

function appPasswords(
  visit: Visit,
  session: PortalSessionView,
  list: readonly PortalAppPassword[],
  isTitle: boolean,
): Html {
  const { home: t } = visit.words
  const { allowed, cap, live } = session.appPasswords
  return html`<section aria-labelledby="app-passwords">
${isTitle ? html`<h2 id="app-passwords" class="sr">${t.appPasswords}</h2>` : html`<h2 id="app-passwords">${t.appPasswords}${allowed && html` <span class="count">${t.appPasswordsCount(live, cap)}</span>`}</h2>`}
<p>${allowed ? t.appPasswordsIntro : t.appPasswordsForbidden}${allowed && html` <a href="${paths.help()}">${t.appPasswordsWhich}</a>`}</p>
${list.length === 0 ? html`<p class="empty">${t.appPasswordsNone}</p>` : html`<ul class="list">${list.map((each) => appPasswordRow(visit, each, allowed))}</ul>`}
<p class="buttons">${allowed && html`<a class="button quiet" href="${paths.newAppPassword()}">${t.newAppPassword}</a>`}${
    list.length > 1 && html`<a class="plain danger" href="/app-passwords/delete-all">${t.deleteAll}</a>`
  }</p>
</section>`
}

/** Devices that have no room for an address (M11). */
function shortNames(visit: Visit, aliases: readonly AliasView[]): Html {
  const { home: t, protocols } = visit.words
  return html`<section aria-labelledby="short-names">
<h2 id="short-names">${t.shortNames}</h2>
<p>${t.shortNamesIntro}</p>
<ul class="list">${aliases.map(
    ({ alias, protocol, port, sender }) =>
      html`<li><div><strong class="name" translate="no">${alias}</strong><p class="facts">${t.shortNameOn(protocols[protocol] ?? protocol, port)}${sender !== null && ` · ${t.shortNameSender(sender)}`}</p></div></li>`,
  )}</ul>
</section>`
}

function appPasswordRow(visit: Visit, each: PortalAppPassword, allowed: boolean): Html {
  const { home: t, common } = visit.words
  return html`<li><div><strong class="name">${each.name}</strong>${each.sessions > 0 && html` <span class="tag live">${t.open(each.sessions)}</span>`}
${appPasswordFacts(visit, each).map((fact) => html`<p class="facts">${fact}</p>`)}</div>
<div class="row-buttons">${allowed && html`<a class="button quiet small" href="${paths.renameAppPassword(each.id)}" aria-label="${common.renameNamed(each.name)}">${common.rename}</a>`}${appPasswordDelete(visit, each)}</div></li>`
}

function appPasswordDelete(visit: Visit, { id, name }: { readonly id: string; readonly name: string }): Html {
  const { appPassword: t, common } = visit.words
  return deleteLink({
    page: paths.deleteAppPassword(id),
    title: t.deleteTitle(name),
    text: t.deleteText(name),
    submit: t.deleteSubmit,
    label: common.delete,
    named: common.deleteNamed(name),
  })
}

/** What tells a person which device it is, and whether it is still in use (R28). */
export function appPasswordFacts(visit: Visit, each: Omit<PortalAppPassword, 'sessions'>): readonly string[] {
  const { home: t, common, protocols } = visit.words
  const { when, until, list } = visit.format
  const { lastUsed } = each
  const word = (protocol: string): string => protocols[protocol] ?? protocol
  const use =
    lastUsed === null
      ? common.neverUsed
      : lastUsed.agent === null
        ? t.lastUsed(when(lastUsed.at), word(lastUsed.protocol), lastUsed.ip)
        : t.lastUsedAgent(when(lastUsed.at), word(lastUsed.protocol), lastUsed.ip, lastUsed.agent)
  const limits = [
    each.protocols.length < Object.keys(protocols).length && t.only(list(each.protocols.map(word))),
    each.networks.length > 0 && t.networks(list(each.networks)),
    each.expiresAt !== null &&
      (new Date(each.expiresAt) < new Date() ? t.expired(when(each.expiresAt)) : t.expires(until(each.expiresAt))),
  ].filter((limit) => limit !== false)
  return [use, [t.created(when(each.createdAt)), ...limits].join(' · ')]
}

function notices(visit: Visit, list: readonly Notice[]): Html | null {
  if (list.length === 0) return null
  const t = visit.words.notices
  return html`<section aria-labelledby="notices" class="notices">
<h2 id="notices">${t.title}</h2>
<ul class="list">${list.map((notice) => html`<li class="notice">${noticeText(visit, notice)}</li>`)}</ul>
</section>`
}

function noticeText(visit: Visit, notice: Notice): Html {
  const { notices: t, home, protocols } = visit.words
  const { when } = visit.format
  const dismiss = form(visit, paths.dismissNotice(notice.id), html`<button class="quiet small">${t.dismiss}</button>`)
  const say = (title: string, text: string, more: Html | null = null): Html =>
    html`<div><strong>${title}</strong><p>${text}</p></div><div class="row-buttons">${more}${dismiss}</div>`
  switch (notice.kind) {
    case 'deleted-still-tries':
      return say(
        t.stillTries(notice.name, when(notice.deletedAt)),
        t.stillTriesText(when(notice.lastTriedAt), notice.ip, protocols[notice.protocol] ?? notice.protocol),
      )
    case 'login-refused':
      return say(
        t.loginRefused[notice.reason]?.(notice.name ?? '') ?? t.loginRefusedOther,
        t.loginRefusedText(when(notice.at), notice.ip, protocols[notice.protocol] ?? notice.protocol),
        html`<a class="button small" href="${paths.newAppPassword()}">${home.newAppPassword}</a>`,
      )
    case 'set-up-used':
      return say(
        t.setUpUsed(notice.name),
        t.setUpUsedText(when(notice.at), notice.ip),
        html`<a class="button danger small" href="${paths.deleteAppPassword(notice.appPassword)}">${t.setUpNotMe}</a>`,
      )
    case 'done-for-you':
      return say(t.doneForYou[notice.what]?.(notice.name) ?? t.doneForYouOther, t.doneForYouText(when(notice.at)))
    case 'recovery-codes-low':
      return say(
        t.codesLow(notice.left),
        t.codesLowText,
        html`<a class="button small" href="/recovery-codes">${home.codesRenew}</a>`,
      )
    case 'password-was-reset':
      return say(
        t.passwordReset,
        t.passwordResetText(when(notice.at), notice.appPasswords),
        html`<a class="button quiet small" href="/app-passwords/delete-all">${home.deleteAll}</a>`,
      )
  }
}
