/**
 * Accepting an invitation.
 */

import type { PortalHandlers } from '../../contract/portal.ts'
import type { PortalDeps } from './deps.ts'
import { factorNow } from './presence.ts'
import type { SigningIn } from './signing-in.ts'

type InvitationHandlers = Pick<PortalHandlers, 'invitation.show' | 'invitation.accept'>

export function invitationHandlers({ links, clock }: PortalDeps, signingIn: SigningIn): InvitationHandlers {
  return {
    async 'invitation.show'({ invitation }) {
      const found = await links.show(invitation, 'invitation')
      if (found === null) return null
      const { link, user } = found
      return {
        user: user.address,
        name: user.name,
        expiresAt: link.expiresAt.toISOString(),
        why: link.why === 'reset' ? 'reset' : 'new-user',
      }
    },

    async 'invitation.accept'({ client, invitation }) {
      const found = await links.use(invitation, 'invitation', client.ip)
      if (found === null) {
        return signingIn.refuse({ next: 'refused', why: 'flow-over' }, null, client, 'invitation')
      }
      const accepted = await signingIn.accept(found.user, [factorNow('invitation', clock())], 'enrolling', client)
      return accepted.next === 'signed-in' ? { next: accepted.next, session: accepted.session } : accepted
    },
  }
}
