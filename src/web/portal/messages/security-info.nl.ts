/** The page of all that one signs in with, and what it tells at its top: Dutch. */

import { countIn } from './count.ts'
import type { securityInfo as English } from './security-info.en.ts'

const count = countIn('nl')

export const securityInfo: typeof English = {
  home: {
    title: 'Beveiliging',
    intro: (address: string) => `Zo log je in als ${address}.`,
    add: 'Methode toevoegen',
    methods: 'Inloggen in twee stappen',
    totp: 'Authenticator-app',
    passkey: 'Passkey',
    synced: 'bewaard in je account',
    added: (when: string) => `Toegevoegd ${when}`,
    used: (when: string) => `laatst gebruikt ${when}`,
    recoveryCodes: 'Herstelcodes',
    codesLeft: (n: number) => `Nog ${count(n, 'code', 'codes')}`,
    codesMade: (when: string) => `gemaakt ${when}`,
    codesNone: 'Geen. Maak ze nu, voor als je je telefoon kwijtraakt.',
    codesRenew: 'Nieuwe codes',
    provider: 'Gekoppeld account',
    linked: (when: string) => `Gekoppeld ${when}`,
    appPasswords: 'App-wachtwoorden',
    appPasswordsIntro: 'Eén voor elk apparaat dat geen twee stappen kan.',
    appPasswordsCount: (live: number, cap: number) => `${live} van ${cap}`,
    appPasswordsNone: 'Je hebt er nog geen.',
    appPasswordsWhich: 'Welke van mijn programma’s hebben er een nodig?',
    appPasswordsForbidden:
      'Je organisatie heeft app-wachtwoorden uitgezet. Deze werken niet meer; je kunt ze verwijderen.',
    newAppPassword: 'Nieuw app-wachtwoord',
    created: (when: string) => `Gemaakt ${when}`,
    lastUsed: (when: string, protocol: string, ip: string) => `Laatst gebruikt ${when}, ${protocol}, vanaf ${ip}`,
    lastUsedAgent: (when: string, protocol: string, ip: string, agent: string) =>
      `Laatst gebruikt ${when} door ${agent}, ${protocol}, vanaf ${ip}`,
    only: (protocols: string) => `Alleen voor ${protocols}`,
    networks: (networks: string) => `Alleen vanaf ${networks}`,
    expires: (when: string) => `Verloopt ${when}`,
    expired: (when: string) => `Verlopen ${when}`,
    open: (n: number) => count(n, 'open verbinding', 'open verbindingen'),
    deleteAll: 'Alle app-wachtwoorden verwijderen',
    shortNames: 'Korte namen',
    shortNamesIntro:
      'Voor scanners en andere apparaten op kantoor: de gebruikersnaam om daar in te vullen, met voor elk een eigen app-wachtwoord.',
    shortNameOn: (protocol: string, port: number) => `${protocol}, poort ${port}`,
    shortNameSender: (sender: string) => `In te stellen afzender: ${sender}`,
    lastMethod: 'Wil je dit vervangen? Voeg dan eerst iets anders toe.',
  },

  notes: {
    'app-password-deleted': (name: string) => `‘${name}’ is verwijderd.`,
    'device-blocked': (name: string) => `${name} is geblokkeerd.`,
    noneOpen: 'Er waren geen open verbindingen.',
    connectionsEnded: (n: number) => `${count(n, 'open verbinding is', 'open verbindingen zijn')} verbroken.`,
    'device-allowed': (name: string) => `${name} wordt vanaf nu toegelaten.`,
    'device-forgotten': (name: string) => `${name} is vergeten.`,
    partly: 'Een paar servers reageerden niet op tijd; die verbreken de rest zo dadelijk.',
    'app-passwords-deleted': (n: number) => `${count(n, 'app-wachtwoord is', 'app-wachtwoorden zijn')} verwijderd.`,
    'method-deleted': (name: string) => `‘${name}’ is verwijderd.`,
    'method-added': (name: string) => `‘${name}’ is toegevoegd.`,
    renamed: (name: string) => `De naam is nu ‘${name}’.`,
    'user-added': (name: string) => `${name} is toegevoegd.`,
    endedBefore: 'Die verbinding was al verbroken.',
    'signed-out-others': (n: number) =>
      n === 0
        ? 'Je was nergens anders ingelogd.'
        : `Je bent op ${count(n, 'andere plek', 'andere plekken')} uitgelogd.`,
    'app-password-ready': 'Je app-wachtwoord werkt vanaf nu.',
    enrolled: 'Alles staat klaar. Vanaf nu log je in twee stappen in.',
    'last-method': 'Dit is je enige tweede stap. Voeg eerst een andere toe en verwijder dan deze.',
    'not-allowed': 'Je organisatie staat dat niet toe.',
    'for-administrators': 'Alleen een beheerder kan dat apparaat toelaten.',
    'signed-out': 'Je bent uitgelogd.',
    'session-over': 'Je bent uitgelogd omdat er een tijd niets gebeurde. Log opnieuw in.',
    language: 'De taal is gewijzigd.',
    'password-set': 'Je wachtwoord is gewijzigd.',
    'user-disabled': 'De gebruiker is uitgeschakeld.',
    'user-enabled': 'De gebruiker is ingeschakeld.',
    'two-step-reset': 'Inloggen in twee stappen is teruggezet.',
    'policy-set': 'Het beleid is gewijzigd.',
  },

  notices: {
    title: 'Goed om te weten',
    dismiss: 'Begrepen',
    stillTries: (name: string, deleted: string) => `${name}, ${deleted} verwijderd, probeert nog steeds in te loggen`,
    stillTriesText: (tried: string, ip: string, protocol: string) =>
      `Laatst ${tried} via ${protocol} vanaf ${ip}. Is dat je oude apparaat? Verwijder het account daar of geef het een nieuw app-wachtwoord. Ken je het niet, dan hoef je niets te doen: het komt er niet in.`,
    loginRefused: {
      'app-password-expired': (name: string) => `${name} is verlopen, en een apparaat logt er nog mee in`,
      'not-on-this-protocol': (name: string) => `${name} wordt gebruikt op een apparaat waarvoor het niet bedoeld is`,
      'use-app-password': (_: string) => 'Een telefoon of tablet logt in met je eigen wachtwoord',
    } as Readonly<Record<string, (name: string) => string>>,
    loginRefusedOther: 'Een telefoon of tablet kan niet inloggen',
    loginRefusedText: (at: string, ip: string, protocol: string) =>
      `Laatst ${at} via ${protocol} vanaf ${ip}, en het krijgt geen mail. Geef het een nieuw app-wachtwoord.`,
    setUpUsed: (name: string) => `Er is een instellink gebruikt: ${name} heeft nu een app-wachtwoord`,
    setUpUsedText: (at: string, ip: string) => `${at}, vanaf ${ip}. Was jij dat?`,
    setUpNotMe: 'Dat was ik niet: verwijderen',
    doneForYou: {
      'app-password-created': (name: string | null) =>
        `Een beheerder heeft een app-wachtwoord voor je gemaakt${name === null ? '' : `: ${name}`}`,
      'app-password-deleted': (name: string | null) =>
        `Een beheerder heeft een app-wachtwoord van je verwijderd${name === null ? '' : `: ${name}`}`,
      'device-blocked': (name: string | null) =>
        `Een beheerder heeft een telefoon of tablet van je geblokkeerd${name === null ? '' : `: ${name}`}`,
      'two-step-reset': (_: string | null) => 'Een beheerder heeft je inloggen in twee stappen teruggezet',
    },
    doneForYouOther: 'Een beheerder heeft iets aan je account gewijzigd',
    doneForYouText: (at: string) => `${at}. Verrast dit je? Vraag het dan na.`,
    codesLow: (n: number) =>
      n === 0 ? 'Je herstelcodes zijn op' : `Je hebt nog maar ${count(n, 'herstelcode', 'herstelcodes')}`,
    codesLowText: 'Maak nieuwe, zodat je binnenkomt als je je telefoon kwijt bent.',
    passwordReset: 'Je wachtwoord is opnieuw ingesteld',
    passwordResetText: (at: string, n: number) =>
      `${at}. Je ${count(n, 'app-wachtwoord werkt', 'app-wachtwoorden werken')} nog. Kan iemand anders je wachtwoord hebben geweten? Verwijder dan wat je niet herkent.`,
  },
}
