/** The tables of texts by language (R39). */

import type { Language } from '../../contract/languages.ts'
import type { Messages } from './messages/en.ts'
import { en } from './messages/en.ts'
import { nl } from './messages/nl.ts'

export type { Messages } from './messages/en.ts'

const TABLES = { en, nl } as const satisfies Record<Language, Messages>

export const messagesOf = (language: Language): Messages => TABLES[language]
