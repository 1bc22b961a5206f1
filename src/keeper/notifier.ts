/**
 * Telling people what was done to their account by somebody else: a notice in the portal that stays until it is dismissed,
 * and a mail where a sender is configured.
 *
 * Mails go out behind the answer, a few at a time, from a bounded queue: a mail server that is slow or away holds nobody up.
 * Only an invitation is waited for, because whoever asked for it must know.
 */

import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Config } from '../config.ts'
import type { Actor } from '../contract/services.ts'
import { ServiceError } from '../contract/services.ts'
import type { Log } from '../log.ts'
import type { Store, UserRow } from '../records/store/store.ts'
import { StoreError } from '../records/store/store.ts'
import type { Mailer } from './mail/mailer.ts'
import { MailError } from './mail/mailer.ts'
import type { Text } from './mail/texts.ts'
import { MAIL_TEXTS } from './mail/texts.ts'

/** What can be done for somebody; the portal has words for each. */
export type DoneForYou = 'app-password-created' | 'app-password-deleted' | 'device-blocked' | 'two-step-reset'

export interface Notifier {
  /** Nothing when the person did it. `name`: of what it was done to. A store that is away rejects nothing. */
  doneForYou(user: UserRow, what: DoneForYou, name: string | null, actor: Actor): Promise<void>
  /** Somebody enrols with the password alone: the owner of the mailbox should know. */
  enrolling(user: UserRow, ip: string): void
  /** @throws ServiceError 'not-configured', 'unavailable' when the mail could not be handed in */
  invite(user: UserRow, url: string, until: Date): Promise<void>
  /** Waits a little for mails that are just being sent; the rest are dropped. */
  close(): Promise<void>
}

export interface NotifierOptions {
  readonly config: () => Config
  readonly store: Store
  readonly mailer: Mailer
  readonly log: Log
  readonly clock: () => Date
}

const AT_ONCE = 4
const MAX_QUEUED = 1000
const CLOSE_MS = 5000

export function createNotifier({ config, store, mailer, log, clock }: NotifierOptions): Notifier {
  const queue: { readonly to: string; readonly text: Text }[] = []
  const sending = new Set<Promise<void>>()
  let closed = false

  function later(user: UserRow, text: Text): void {
    if (!mailer.isConfigured || closed) return
    if (queue.length >= MAX_QUEUED) {
      log.event('warn', 'warning', 'too many mails wait to be sent: one was dropped', { user: user.address })
      return
    }
    queue.push({ to: user.address, text })
    next()
  }

  function next(): void {
    while (sending.size < AT_ONCE) {
      const mail = queue.shift()
      if (mail === undefined) return
      const sent = mailer
        .send({ to: mail.to, ...mail.text })
        .catch((error: unknown) => {
          if (!(error instanceof MailError)) return log.bug(error, 'sending a mail')
          log.event('warn', 'warning', 'a user could not be told by mail', { user: mail.to, detail: error.message })
        })
        .finally(() => {
          sending.delete(sent)
          next()
        })
      sending.add(sent)
    }
  }

  /** What it is about is committed by now, and an answer that says otherwise would be worse than no notice. */
  async function leaveNotice(user: UserRow, what: DoneForYou, name: string | null): Promise<void> {
    const notice = { id: randomUUID(), userId: user.id, kind: 'done-for-you', detail: { what, name }, at: clock() }
    try {
      await store.transaction(async (tx) => {
        // A user who was deleted meanwhile has no notices.
        if (await tx.userById(user.id)) await tx.people.putNotice(notice)
      })
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      log.event('warn', 'warning', 'a user could not be told in the portal what was done', {
        user: user.address,
        error_code: error.code,
        detail: error.message,
      })
    }
  }

  const words = ({ language }: UserRow) => MAIL_TEXTS[language ?? config().portal?.languages[0] ?? 'en']
  const portal = () => config().portal?.url ?? null

  return {
    async doneForYou(user, what, name, actor) {
      if (actor === `user:${user.id}`) return
      await leaveNotice(user, what, name)
      later(user, words(user).doneForYou(what, name, portal()))
    },

    enrolling(user, ip) {
      later(user, words(user).enrolling(ip, portal()))
    },

    async invite(user, url, until) {
      if (!mailer.isConfigured) {
        throw new ServiceError('not-configured', 'the configuration has no sender for mails: set mail.from')
      }
      const when = until.toISOString().slice(0, 16).replace('T', ' ')
      try {
        await mailer.send({ to: user.address, ...words(user).invitation({ url, until: when }) })
      } catch (error) {
        if (!(error instanceof MailError)) throw error
        throw new ServiceError('unavailable', error.message, { cause: error })
      }
    },

    async close() {
      closed = true
      queue.length = 0
      await Promise.race([Promise.all(sending), delay(CLOSE_MS, undefined, { ref: false })])
    },
  }
}
