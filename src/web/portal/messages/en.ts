/**
 * What the portal says, in English, one file for each group of pages; values with something in them are functions, so that each
 * language can put it where it belongs. The other languages have the same files and keys or don't compile.
 */

import { admin } from './admin.en.ts'
import { appPasswords } from './app-passwords.en.ts'
import { frame } from './frame.en.ts'
import { help } from './help.en.ts'
import { methods } from './methods.en.ts'
import { places } from './places.en.ts'
import { securityInfo } from './security-info.en.ts'
import { signIn } from './sign-in.en.ts'

export const en = { ...frame, ...signIn, ...methods, ...securityInfo, ...appPasswords, ...places, ...help, ...admin }

export type Messages = typeof en
