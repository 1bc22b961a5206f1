/** Why a sign-in or step-up did not come about, in words: one sentence for each reason, none of which says who exists. */

import type { Refusal } from '../../contract/portal/client.ts'
import type { Messages } from './messages.ts'

/** `factor` 'code': what was wrong can only have been the code. */
export function refusalText({ refused }: Messages, refusal: Refusal, factor: 'password' | 'code' | 'passkey'): string {
  switch (refusal.why) {
    case 'throttled':
      return refused.throttled(Math.max(1, Math.ceil(refusal.retryAfterMs / 1000)))
    case 'bad-credentials':
      return factor === 'code' ? refused['bad-code'] : refused['bad-credentials']
    default:
      return refused[refusal.why]
  }
}
