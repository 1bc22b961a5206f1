/** Signing in, step by step, and setting up the second step for the first time: Dutch. */

import { countIn } from './count.ts'
import type { signIn as English } from './sign-in.en.ts'

const count = countIn('nl')

export const signIn: typeof English = {
  signIn: {
    title: 'Inloggen',
    intro: 'Hier regel je hoe je inlogt bij je e-mail.',
    user: 'E-mailadres',
    password: 'Wachtwoord',
    submit: 'Inloggen',
    passkey: 'Inloggen met een passkey',
    provider: (name: string) => `Inloggen met ${name}`,
    nobody: 'Hier kan nog niemand inloggen. Je beheerder heeft nog niet ingesteld hoe dat moet.',
    forwarding: (name: string) => `Door naar ${name} …`,
    forwardingText: 'Je wordt doorgestuurd. Gebeurt er niets? Volg dan de link.',
    forwardingLink: (name: string) => `Naar ${name}`,
    withInvitation: 'Voor het eerst hier? Gebruik de link uit de uitnodiging die je hebt gekregen.',
  },

  secondStep: {
    title: 'Ben jij het echt?',
    totp: 'Vul de zes cijfers in die je authenticator-app nu laat zien.',
    totpLabel: 'Code',
    passkey: 'Je apparaat vraagt om je vingerafdruk, gezicht of pincode.',
    passkeySubmit: 'Passkey gebruiken',
    recovery: 'Vul een van de herstelcodes in die je hebt bewaard. Elke code werkt één keer.',
    recoveryLabel: 'Herstelcode',
    submit: 'Doorgaan',
    otherWay: 'Op een andere manier',
    byTotp: 'Met je authenticator-app',
    byPasskey: 'Met een passkey',
    byRecoveryCode: 'Met een herstelcode',
    startOver: 'Opnieuw beginnen',
  },

  stepUp: {
    title: 'Bevestig even dat jij het bent',
    intro:
      'Je bent al een tijdje ingelogd. Om hier iets te wijzigen, bevestig je het nog een keer. Daarna ga je meteen verder waar je was.',
  },

  refused: {
    'bad-credentials': 'Dat klopt niet. Controleer wat je hebt ingevuld en probeer het opnieuw.',
    'bad-code': 'Die code klopt niet of is al gebruikt. Wacht op de volgende en probeer het opnieuw.',
    throttled: (seconds: number) =>
      `Te veel pogingen. Wacht ${count(seconds, 'seconde', 'seconden')} en probeer het dan opnieuw.`,
    'flow-over': 'Dat duurde te lang. Begin opnieuw.',
    'no-two-step': 'Je bent daar zonder tweede stap ingelogd. Zet die stap daar eerst aan en kom dan terug.',
    'not-linked': 'Je account daar is niet gekoppeld aan een mailbox hier. Vraag je beheerder om een uitnodiging.',
    'provider-failed': 'Het inloggen daar is niet gelukt. Probeer het opnieuw.',
    'needs-invitation':
      'Je wachtwoord klopt, maar je hebt inloggen in twee stappen nog niet ingesteld. Vraag je beheerder om een uitnodigingslink.',
  },

  passkeys: {
    needScripts: 'Voor passkeys is JavaScript nodig, en dat staat uit in deze browser.',
    unsupported: 'Deze browser kan niet met passkeys overweg.',
    cancelled: 'Dat is geannuleerd of duurde te lang. Probeer het gerust opnieuw.',
    failed: 'De passkey werkte niet. Probeer het opnieuw.',
    exists: 'Dit apparaat heeft al een passkey voor jou.',
  },

  invitation: {
    title: (name: string) => `Welkom, ${name}`,
    intro: (user: string) => `Stel inloggen in twee stappen in voor ${user}. Dat kost ongeveer twee minuten.`,
    reset: (user: string) =>
      `Inloggen in twee stappen is teruggezet voor ${user}. Stel het hier opnieuw in; dat kost ongeveer twee minuten.`,
    need: 'Je hebt je telefoon nodig, of een computer met vingerafdruklezer, camera of pincode.',
    start: 'Beginnen',
    validUntil: (when: string) => `Deze link werkt één keer en verloopt ${when}.`,
    gone: 'Deze link werkt niet meer',
    goneText:
      'De link is al gebruikt of verlopen. Vraag je beheerder om een nieuwe. Heb je inloggen in twee stappen al ingesteld? Dan kun je gewoon inloggen.',
  },

  enrol: {
    title: 'Hoe wil je bevestigen dat jij het bent?',
    intro:
      'Vanaf nu log je hier in twee stappen in. Kies hoe je de tweede stap doet; de andere manier kun je later toevoegen.',
    codesTitle: 'Bewaar je herstelcodes',
    codesIntro:
      'Raak je je telefoon kwijt, dan kom je met zo’n code toch binnen. Elke code werkt één keer. Bewaar ze op papier of in een wachtwoordmanager, niet op je telefoon.',
    codesOnce: 'Je krijgt deze codes niet nog een keer te zien.',
    codesSaved: 'Ik heb ze bewaard',
    codesMissing: 'Je hebt nog geen herstelcodes. Daarmee kom je binnen als je je telefoon kwijt bent.',
    codesMake: 'Herstelcodes maken',
    appPasswordIntro:
      'Oudere mailprogramma’s, telefoons en scanners kunnen de tweede stap niet. Die krijgen elk een app-wachtwoord. Hier maak je je eerste.',
  },
}
