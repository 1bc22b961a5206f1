/** Where one is signed in and with what, and who one is: Dutch. */

import type { places as English } from './places.en.ts'

export const places: typeof English = {
  sessions: {
    title: 'Waar ben ik ingelogd?',
    mail: 'Mailprogramma’s',
    mailNone: 'Er is nu geen mailprogramma verbonden.',
    primary: 'Je eigen wachtwoord',
    since: (protocol: string, ip: string, when: string) => `${protocol}, vanaf ${ip}, sinds ${when}`,
    end: 'Verbreken',
    endNamed: (name: string) => `Verbreken: ${name}`,
    endHint:
      'Een programma waarvan je de verbinding verbreekt, logt vanzelf weer in. Wil je het buitensluiten? Verwijder dan het app-wachtwoord.',
    portal: 'Deze website',
    here: 'Deze browser',
    other: (when: string, ip: string) => `Laatst gezien ${when}, vanaf ${ip}`,
    signOutOthers: 'Overal elders uitloggen',
  },

  devices: {
    title: 'Telefoons en tablets',
    unnamed: 'Apparaat zonder naam',
    id: (id: string) => `apparaat ${id}`,
    seen: (first: string, last: string, ip: string) => `Eerst gezien ${first}, laatst gezien ${last} vanaf ${ip}`,
    states: { allowed: 'Toegelaten', blocked: 'Geblokkeerd', waiting: 'Wacht' },
    blockedByAdministrator: 'Geblokkeerd door een beheerder',
    blockedHint: 'Wat een beheerder heeft geblokkeerd, kan alleen een beheerder weer toelaten.',
    waitingHint: 'Een apparaat dat wacht, krijgt nog geen e-mail. Vraag je beheerder om het toe te laten.',
    block: 'Blokkeren',
    blockNamed: (name: string) => `Blokkeren: ${name}`,
    blockTitle: (name: string) => `${name} blokkeren?`,
    blockText:
      'Het krijgt vanaf nu je e-mail niet meer, en je kunt het weer toelaten. Ben je het kwijt? Verwijder dan ook het app-wachtwoord ervan.',
    blockTextForGood:
      'Het krijgt vanaf nu je e-mail niet meer. Alleen een beheerder kan het weer toelaten. Ben je het kwijt? Verwijder dan ook het app-wachtwoord ervan.',
    adminBlockText: (user: string) =>
      `Het krijgt vanaf nu de e-mail van ${user} niet meer. Het app-wachtwoord ervan werkt elders nog wel.`,
    allow: 'Toelaten',
    allowNamed: (name: string) => `Toelaten: ${name}`,
    forget: 'Vergeten',
    forgetNamed: (name: string) => `Vergeten: ${name}`,
    ofUser: (name: string, user: string) => `${name} van ${user}`,
    forgetTitle: (name: string) => `${name} vergeten?`,
    forgetText:
      'Het verdwijnt uit deze lijst. Komt het terug, dan geldt het als nieuw en wordt het toegelaten, ook als je het had geblokkeerd.',
    forgetTextWaits:
      'Het verdwijnt uit deze lijst. Komt het terug, dan geldt het als nieuw en wacht het tot een beheerder het toelaat.',
    adminForgetText: (user: string) =>
      `Het verdwijnt uit de lijst van ${user}. Komt het terug, dan geldt het als nieuw, ook als het geblokkeerd was.`,
  },

  profile: {
    title: 'Profiel',
    name: 'Naam',
    address: 'E-mailadres',
    language: 'Taal',
    nameHint: 'Je beheerder kan je naam wijzigen.',
    more: 'Je beveiliging',
    signOut: 'Uitloggen',
  },
}
