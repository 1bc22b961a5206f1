/**
 * What mails to users say, in each language (R39). Plain text, short, and never a name or link that somebody else could have
 * put there.
 */

import type { Language } from '../../contract/languages.ts'
import type { DoneForYou } from '../notifier.ts'

export interface Text {
  readonly subject: string
  readonly text: string
}

interface Texts {
  invitation(options: { readonly url: string; readonly until: string }): Text
  doneForYou(what: DoneForYou, name: string | null, portal: string | null): Text
  enrolling(ip: string, portal: string | null): Text
}

const en: Texts = {
  invitation: ({ url, until }) => ({
    subject: 'Set up two-step sign-in for your mail',
    text: `You have been invited to set up two-step sign-in for your mailbox.

Open this link, on a computer or phone that you use yourself:

  ${url}

It works once, until ${until} (UTC). Don't pass this mail on: whoever has the link can set up your account.
`,
  }),
  doneForYou: (what, name, portal) => ({
    subject: {
      'app-password-created': 'An app password was made for you',
      'app-password-deleted': 'An app password of yours was deleted',
      'device-blocked': 'A phone or tablet of yours was blocked',
      'two-step-reset': 'Your two-step sign-in was reset',
    }[what],
    text: `${
      {
        'app-password-created': `An administrator made an app password for your mailbox${named(name)}.`,
        'app-password-deleted': `An administrator deleted an app password of your mailbox${named(name)}. The device that used it can't sign in any more.`,
        'device-blocked': `An administrator blocked a phone or tablet that gets your mail${named(name)}. It gets none from now on, and only an administrator can let it in again.`,
        'two-step-reset':
          'An administrator deleted all second steps with which you sign in. You need a new invitation to set them up again.',
      }[what]
    }

If this surprises you, ask your administrator.
${portal === null ? '' : `\nYou can see your sign-in methods at ${portal}\n`}`,
  }),
  enrolling: (ip, portal) => ({
    subject: 'Two-step sign-in is being set up for your mailbox',
    text: `Somebody signed in with your password, from ${ip}, and is setting up two-step sign-in for your mailbox.

If that was you, there is nothing to do. If it was not, tell your administrator at once: your password is known to somebody else.
${portal === null ? '' : `\n${portal}\n`}`,
  }),
}

const nl: Texts = {
  invitation: ({ url, until }) => ({
    subject: 'Stel inloggen in twee stappen in voor je e-mail',
    text: `Je bent uitgenodigd om inloggen in twee stappen in te stellen voor je mailbox.

Open deze link, op een computer of telefoon die je zelf gebruikt:

  ${url}

De link werkt één keer, tot ${until} (UTC). Stuur deze mail niet door: wie de link heeft, kan je account instellen.
`,
  }),
  doneForYou: (what, name, portal) => ({
    subject: {
      'app-password-created': 'Er is een app-wachtwoord voor je gemaakt',
      'app-password-deleted': 'Een app-wachtwoord van je is verwijderd',
      'device-blocked': 'Een telefoon of tablet van je is geblokkeerd',
      'two-step-reset': 'Je inloggen in twee stappen is teruggezet',
    }[what],
    text: `${
      {
        'app-password-created': `Een beheerder heeft een app-wachtwoord voor je mailbox gemaakt${named(name)}.`,
        'app-password-deleted': `Een beheerder heeft een app-wachtwoord van je mailbox verwijderd${named(name)}. Het apparaat dat het gebruikte, kan niet meer inloggen.`,
        'device-blocked': `Een beheerder heeft een telefoon of tablet geblokkeerd die je e-mail krijgt${named(name)}. Die krijgt vanaf nu niets meer, en alleen een beheerder kan hem weer toelaten.`,
        'two-step-reset':
          'Een beheerder heeft alle tweede stappen verwijderd waarmee je inlogt. Om ze opnieuw in te stellen heb je een nieuwe uitnodiging nodig.',
      }[what]
    }

Verbaast je dit? Vraag het je beheerder.
${portal === null ? '' : `\nJe inlogmethoden staan op ${portal}\n`}`,
  }),
  enrolling: (ip, portal) => ({
    subject: 'Inloggen in twee stappen wordt ingesteld voor je mailbox',
    text: `Iemand heeft met je wachtwoord ingelogd, vanaf ${ip}, en stelt inloggen in twee stappen in voor je mailbox.

Was jij dat, dan hoef je niets te doen. Was jij het niet, waarschuw dan meteen je beheerder: iemand anders kent je wachtwoord.
${portal === null ? '' : `\n${portal}\n`}`,
  }),
}

export const MAIL_TEXTS: Readonly<Record<Language, Texts>> = { en, nl }

/** The name of an app password or device: chosen by somebody, so in quotes and on the same line. */
function named(name: string | null): string {
  return name === null ? '' : ` ("${name}")`
}
