/** Administration: Dutch. */

import type { admin as English } from './admin.en.ts'
import { countIn } from './count.ts'

const count = countIn('nl')

export const admin: typeof English = {
  admin: {
    title: 'Beheer',
    warnings: (count: number) =>
      count === 1
        ? 'Eén instelling van deze server is gevaarlijk:'
        : `${count} instellingen van deze server zijn gevaarlijk:`,
    users: 'Gebruikers',
    audit: 'Logboek',
    policies: 'Beleid voor app-wachtwoorden',
    waiting: 'Wachtende apparaten',
    waitingIntro:
      'Een nieuwe telefoon of tablet krijgt pas e-mail als je het apparaat toelaat, waar dat zo is ingesteld. Wat het langst wacht, staat bovenaan.',
    waitingNone: 'Er wacht geen apparaat.',
    find: 'Gebruiker zoeken',
    findHint: 'Het begin van een adres is genoeg.',
    findSubmit: 'Zoeken',
    none: 'Geen gebruiker gevonden.',
    more: 'Meer',
    add: 'Gebruiker toevoegen',
    address: 'E-mailadres',
    name: 'Naam',
    groups: 'Groepen',
    groupsHint: 'Met spaties ertussen. Mag leeg blijven.',
    asAdmin: 'Mag beheren',
    invite: 'Uitnodigingslink maken',
    addSubmit: 'Toevoegen',
    invited: (user: string) => `Uitnodiging voor ${user}`,
    invitedText: (until: string) =>
      `Geef deze link aan die persoon en aan niemand anders. De link werkt één keer en verloopt ${until}. Je krijgt hem niet nog een keer te zien.`,
    enabled: 'Ingeschakeld',
    disabled: 'Uitgeschakeld',
    administrator: 'Beheerder',
    enrolled: (when: string) => `Twee stappen sinds ${when}`,
    notEnrolled: 'Nog geen twee stappen',
    created: (when: string) => `Toegevoegd ${when}`,
    appPasswords: (n: number) => count(n, 'app-wachtwoord', 'app-wachtwoorden'),
    methods: 'Inloggen in twee stappen',
    methodsNone: 'Niets ingesteld.',
    disable: 'Uitschakelen',
    disableTitle: (user: string) => `${user} uitschakelen?`,
    disableText:
      'Inloggen kan dan niet meer, hier niet en bij de e-mail niet, en open verbindingen worden meteen verbroken. Je kunt de gebruiker weer inschakelen.',
    enable: 'Inschakelen',
    resetTwoStep: 'Twee stappen terugzetten',
    resetTitle: (user: string) => `Inloggen in twee stappen terugzetten voor ${user}?`,
    resetText:
      'Alle tweede stappen en herstelcodes worden verwijderd en de gebruiker wordt hier uitgelogd. Met een uitnodigingslink kan alles opnieuw worden ingesteld. App-wachtwoorden blijven. Dit kun je niet ongedaan maken.',
    resetSubmit: 'Terugzetten',
    newInvitation: 'Nieuwe uitnodigingslink',
    deleteAll: 'Alle app-wachtwoorden verwijderen',
    deleteAllTitle: (user: string) => `Alle app-wachtwoorden van ${user} verwijderen?`,
    deleteAllText: (n: number) =>
      `${count(n, 'apparaat wordt', 'apparaten worden')} meteen afgesloten. Dit kun je niet ongedaan maken.`,
    deleteOneText: (user: string, name: string) =>
      `‘${name}’ van ${user} wordt meteen afgesloten. Dit kun je niet ongedaan maken.`,
    forUser: 'App-wachtwoorden van deze gebruiker',
    auditOf: (user: string) => `Logboek van ${user}`,
    auditWhen: 'Wanneer',
    auditWhat: 'Wat',
    auditWho: 'Door wie',
    auditUser: 'Gebruiker',
    auditNone: 'Nog niets.',
    auditOlder: 'Ouder',
    auditNewest: 'Nieuwste',
    auditSince: (hours: number) =>
      hours === 1
        ? 'Afgelopen uur'
        : hours < 48
          ? `Afgelopen ${hours} uur`
          : `Afgelopen ${count(hours / 24, 'dag', 'dagen')}`,
    policyIntro: 'Wie app-wachtwoorden mag hebben. Waar ze verboden zijn, werken bestaande meteen niet meer.',
    policyAll: 'Iedereen',
    policyGroup: (group: string) => `Groep ${group}`,
    policyAllowed: 'Toegestaan',
    policyForbidden: 'Verboden',
    policyInherit: 'Zoals voor iedereen',
    policySet: 'Wijzigen',
    policyGroupName: 'Groep',
    policyOther: 'Een andere groep',
  },
}
