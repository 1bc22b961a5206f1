/** App passwords: making, showing and deleting them, and setting up a device with one: Dutch. */

import type { appPasswords as English } from './app-passwords.en.ts'
import { countIn } from './count.ts'

const count = countIn('nl')

export const appPasswords: typeof English = {
  appPassword: {
    newTitle: 'Nieuw app-wachtwoord',
    firstTitle: 'Je eerste app-wachtwoord',
    name: 'Voor welk apparaat of programma is het?',
    nameHint: 'Bijvoorbeeld ‘iPad’ of ‘Outlook thuis’. Daaraan herken je het later.',
    nameMissing: 'Geef het een naam.',
    more: 'Meer',
    protocols: 'Waarvoor het gebruikt mag worden',
    expiry: 'Hoe lang het werkt',
    expiryDefault: 'Zoals gebruikelijk',
    expiryNever: 'Tot ik het verwijder',
    expiryDays: (n: number) => count(n, 'dag', 'dagen'),
    networks: 'Vanaf welke netwerken',
    networksHint: 'Laat dit leeg voor overal. Vul anders adressen of netwerken in, met spaties ertussen: 192.0.2.0/24',
    invalid: 'Zo kan het niet. Controleer de naam (hooguit 64 tekens) en de netwerken.',
    shownTitle: (name: string) => `App-wachtwoord voor ${name}`,
    shownIntro:
      'Typ of plak dit in het apparaat, in plaats van je gewone wachtwoord. Je gebruikersnaam en al het andere blijven hetzelfde.',
    label: 'App-wachtwoord',
    once: 'Je krijgt het niet nog een keer te zien. Kwijt? Verwijder het dan en maak een nieuw.',
    spaces: 'Spaties en hoofdletters maken niet uit.',
    how: 'Hoe stel ik mijn programma in? (nieuw venster)',
    capTitle: (cap: number) => `Je hebt ${cap} app-wachtwoorden; meer kan niet`,
    capIntro: (name: string) =>
      `Verwijder er een die je niet meer gebruikt, dan kun je meteen dat voor ${name} maken. Wat het langst niet is gebruikt, staat bovenaan.`,
    deleteTitle: (name: string) => `‘${name}’ verwijderen?`,
    deleteText: (name: string) =>
      `${name} kan vanaf dat moment niet meer bij je e-mail. Dit kun je niet ongedaan maken.`,
    deleteSubmit: 'Verwijderen',
    deleteAllTitle: 'Alle app-wachtwoorden verwijderen?',
    deleteAllText: (n: number) =>
      n === 1
        ? '1 apparaat kan dan niet meer bij je e-mail. Dit kun je niet ongedaan maken.'
        : `${n} apparaten kunnen dan niet meer bij je e-mail. Dit kun je niet ongedaan maken.`,
    deleteAllSubmit: 'Alle verwijderen',
    renameTitle: (name: string) => `Naam van ‘${name}’ wijzigen`,
    renameName: 'Nieuwe naam',
  },

  deviceSetUp: {
    title: 'Een iPhone, iPad of Mac instellen',
    intro:
      'Je krijgt een link voor het apparaat. Als je die daar opent, wordt Mail ingesteld en krijgt dat apparaat een eigen app-wachtwoord; je hoeft niets te typen.',
    name: 'Welk apparaat is het?',
    nameHint: 'Bijvoorbeeld ‘iPhone’. Deze naam zie je terug in je lijst.',
    kind: 'Wat moet er worden ingesteld?',
    kinds: {
      imap: 'E-mail (iPhone, iPad en Mac)',
      eas: 'E-mail, agenda en contacten met ActiveSync (iPhone en iPad)',
    },
    make: 'Link maken',
    invalid: 'Zo kan het niet. Controleer de naam: hooguit 64 tekens.',
    noRoom: (cap: number) => `Je hebt ${cap} app-wachtwoorden; meer kan niet. Verwijder er eerst een.`,
    tooMany: 'Er wachten te veel links. Trek er eerst een in.',
    made: 'Links van de laatste dag',
    used: (at: string, ip: string) => `Gebruikt: ${at}, vanaf ${ip}`,
    waiting: (at: string) => `Gemaakt: ${at}, nog niet gebruikt`,
    runOut: 'Niet gebruikt, en verlopen',
    cancel: 'Link intrekken',
    linkTitle: (name: string) => `‘${name}’ instellen`,
    scan: 'Scan dit met de camera van de iPhone of iPad.',
    scanAlt: 'QR-code met de instellink',
    orOpen: 'Of open deze link op het apparaat zelf, in Safari.',
    once: (when: string) =>
      `De link werkt één keer en verloopt ${when}. Laat hem aan niemand zien: wie hem opent, kan bij je e-mail.`,
    installTitle: 'E-mail instellen op dit apparaat',
    installIntro: (user: string, name: string) =>
      `Hiermee stel je Mail in voor ${user} en maak je een app-wachtwoord dat ‘${name}’ heet.`,
    install: 'Dit apparaat instellen',
    thenAllow: 'Als gevraagd wordt of een profiel mag worden gedownload, sta dat dan toe.',
    thenPhone: 'iPhone en iPad: open Instellingen, kies ‘Profiel gedownload’ en dan Installeer.',
    thenMac: 'Mac: open het gedownloade bestand, ga naar Systeeminstellingen en installeer daar het profiel.',
    validUntil: (when: string) => `Dit werkt één keer en verloopt ${when}.`,
    gone: 'Deze link werkt niet meer',
    goneText: 'Hij is al gebruikt of verlopen. Maak een nieuwe op de pagina waar je hem kreeg.',
    failedText:
      'Er kon geen app-wachtwoord worden gemaakt: misschien heb je er al zoveel als mag. Verwijder er een en maak dan een nieuwe link.',
  },
}
