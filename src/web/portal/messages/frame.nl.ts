/** What stands around every page, and words that many pages share: Dutch. */

import type { frame as English } from './frame.en.ts'

export const frame: typeof English = {
  languageName: 'Nederlands',
  chooseLanguage: 'Taal',
  skip: 'Naar de inhoud',

  nav: {
    label: 'Pagina’s',
    securityInfo: 'Beveiliging',
    sessions: 'Waar ben ik ingelogd?',
    profile: 'Profiel',
    help: 'Hulp',
    admin: 'Beheer',
    signOut: 'Uitloggen',
    signIn: 'Inloggen',
  },

  common: {
    next: 'Volgende',
    back: 'Terug',
    cancel: 'Annuleren',
    done: 'Klaar',
    close: 'Melding sluiten',
    copy: 'Kopiëren',
    copied: 'Gekopieerd',
    copyFailed: 'Dat lukte niet. Selecteer de tekst en kopieer die zelf.',
    print: 'Afdrukken',
    delete: 'Verwijderen',
    deleteNamed: (name: string) => `Verwijderen: ${name}`,
    rename: 'Naam wijzigen',
    renameNamed: (name: string) => `Naam wijzigen van ${name}`,
    save: 'Opslaan',
    add: 'Toevoegen',
    never: 'nooit',
    neverUsed: 'Nooit gebruikt',
    or: 'of',
    from: (place: string) => `vanaf ${place}`,
    unknownDevice: 'Onbekend programma',
    step: (n: number, of: number) => `Stap ${n} van ${of}`,
  },

  protocols: {
    imap: 'IMAP',
    pop3: 'POP3',
    smtp: 'SMTP (verzenden)',
    eas: 'Exchange ActiveSync',
  },

  errors: {
    notFound: 'Hier is niets te vinden',
    notFoundText: 'De pagina bestaat niet, of waar die over ging is verwijderd.',
    unavailable: 'Even niet beschikbaar',
    unavailableText:
      'Iets achter deze pagina reageert niet. Je e-mail blijft werken. Probeer het over een minuut opnieuw.',
    stale: 'Verstuur dat nog een keer',
    staleText:
      'Deze pagina stond te lang open, of je hebt in een ander venster opnieuw ingelogd. Er is niets gewijzigd. Ga terug, laad de pagina opnieuw en probeer het nog eens.',
    wrongPlace: (url: string) => `Formulieren werken alleen op ${url}. Open de pagina daar.`,
    invalid: 'Dat kan niet kloppen',
    invalidText: 'Wat binnenkwam, is niet wat deze pagina verstuurt. Er is niets gewijzigd.',
    bug: 'Er ging iets mis',
    bugText: 'Dat ligt aan ons en is genoteerd. Probeer het opnieuw.',
    tooMuch: 'Dat was te veel',
    goHome: 'Naar de startpagina',
    retry: 'Opnieuw proberen',
  },
}
