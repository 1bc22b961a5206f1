/** What the portal says, in Dutch. */

import { admin } from './admin.nl.ts'
import { appPasswords } from './app-passwords.nl.ts'
import type { Messages } from './en.ts'
import { frame } from './frame.nl.ts'
import { help } from './help.nl.ts'
import { methods } from './methods.nl.ts'
import { places } from './places.nl.ts'
import { securityInfo } from './security-info.nl.ts'
import { signIn } from './sign-in.nl.ts'

export const nl: Messages = {
  ...frame,
  ...signIn,
  ...methods,
  ...securityInfo,
  ...appPasswords,
  ...places,
  ...help,
  ...admin,
}
