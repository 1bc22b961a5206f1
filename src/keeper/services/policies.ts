/**
 * Services about policy: who may have app passwords (R29), set while the server runs.
 */

import type { PolicySetting, PolicyView, ServiceHandlers } from '../../contract/services.ts'
import { ServiceError } from '../../contract/services.ts'
import type { UserRow } from '../../records/store/store.ts'
import { groupName } from '../../records/user-fields.ts'
import { decidingRule, policyFor } from '../policy.ts'
import { ending } from './ending.ts'
import type { ServiceDeps } from './shared.ts'
import { fitting } from './shared.ts'

type PolicyServices = Pick<ServiceHandlers, 'policy.list' | 'policy.show' | 'policy.set'>

const SCOPES = ['all', 'group', 'user'] as const
const SETTINGS = { allowed: true, forbidden: false, default: null } as const

export function policyServices(deps: ServiceDeps): PolicyServices {
  const { config, livePolicy, policies, users, revocation } = deps

  function viewOfAll(): PolicyView {
    const configured = worded(livePolicy.written.appPasswords.allowed)
    const { all } = livePolicy.settings
    return { scope: 'all', subject: null, ...chosen(all, configured) }
  }

  function viewOfGroup(group: string): PolicyView {
    const { groups } = livePolicy.written
    const declared = Object.hasOwn(groups, group) ? groups[group]?.appPasswords.allowed : undefined
    const set = livePolicy.settings.groups.get(group) ?? null
    return { scope: 'group', subject: group, ...chosen(set, declared === undefined ? null : worded(declared)) }
  }

  function viewOfUser({ address, appPasswords }: UserRow): PolicyView {
    return { scope: 'user', subject: address, ...chosen(appPasswords, null) }
  }

  return {
    async 'policy.list'({ after, limit }) {
      const from = after === null ? null : placeAt(after)
      const views = from === null ? [viewOfAll()] : []
      if (from?.scope !== 'user') {
        const names = new Set([...Object.keys(livePolicy.written.groups), ...livePolicy.settings.groups.keys()])
        const groups = [...names].filter((name) => from?.scope !== 'group' || name > from.subject).sort()
        views.push(...groups.slice(0, limit - views.length).map(viewOfGroup))
      }
      if (views.length < limit) {
        const page = { after: from?.scope === 'user' ? from.subject : null, limit: limit - views.length }
        views.push(...(await policies.users(page)).map(viewOfUser))
      }
      const page = fitting(views)
      const more = page.length < views.length || views.length === limit
      return { policies: page, next: more ? placeOf(page.at(-1)) : null }
    },

    async 'policy.show'({ user: address }) {
      const user = await users.show(address)
      const { allowed, cap, expiryMs, protocols } = policyFor(config(), user)
      const rule = decidingRule(config(), user)
      const { scope, subject, source } =
        rule.scope === 'user' ? viewOfUser(user) : rule.scope === 'group' ? viewOfGroup(rule.group) : viewOfAll()
      return {
        user: user.address,
        appPasswords: worded(allowed),
        decidedBy: { scope, subject, source },
        perUser: cap,
        expiryMs,
        protocols,
      }
    },

    async 'policy.set'(request, actor) {
      const allowed = SETTINGS[request.appPasswords]
      const { value, ended } = await ending(deps, { actor, cause: 'policy' }, async () => {
        if (request.scope === 'user') {
          const { user, changed } = await users.setAppPasswords(request.user, allowed, actor)
          return {
            value: { view: viewOfUser(user), changed },
            user,
            isMeant: ({ userId }) => userId === user.id,
            review: () => revocation.review(user.id),
          }
        }
        const scope = request.scope === 'all' ? request : { ...request, group: groupName(request.group) }
        const changed = await policies.set(scope, allowed, actor)
        await livePolicy.refresh()
        return {
          value: { view: scope.scope === 'all' ? viewOfAll() : viewOfGroup(scope.group), changed },
          user: null,
          isMeant: () => true,
          review: () => revocation.review(null),
        }
      })
      return { ...value.view, changed: value.changed, ...ended }
    },
  }
}

/** Where a page of the list ends. */
function placeOf(view: PolicyView | undefined): string | null {
  return view === undefined ? null : `${view.scope}:${view.subject ?? ''}`
}

/** @throws ServiceError 'invalid' */
function placeAt(place: string): { readonly scope: PolicyView['scope']; readonly subject: string } {
  const scope = SCOPES.find((one) => place.startsWith(`${one}:`))
  if (scope === undefined) throw new ServiceError('invalid', 'after: no page of this list ended there')
  return { scope, subject: place.slice(scope.length + 1) }
}

function worded(allowed: boolean): PolicySetting {
  return allowed ? 'allowed' : 'forbidden'
}

function chosen(
  set: boolean | null,
  configured: PolicySetting | null,
): Pick<PolicyView, 'appPasswords' | 'source' | 'configured'> {
  return set === null
    ? { appPasswords: configured, source: 'configured', configured }
    : { appPasswords: worded(set), source: 'set', configured }
}
