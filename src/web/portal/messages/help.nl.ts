/** Help, and how to set up a program: Dutch. */

import type { help as English } from './help.en.ts'

export const help: typeof English = {
  help: {
    title: 'Hulp',
    which: 'Welke van mijn programma’s hebben een app-wachtwoord nodig?',
    whichIntro:
      'Zoek je programma op. Zie je daarin de inlogpagina van je organisatie, met de tweede stap, dan heeft het er geen nodig.',
    needs: 'Wel nodig',
    needsNone: 'Niet nodig',
    needsList: [
      'Outlook 2016 en ouder',
      'Mail op iPhone, iPad of Mac, als je een wachtwoord hebt ingetypt of ‘Andere’ hebt gekozen',
      'Oudere Android-telefoons: de ingebouwde mailapp',
      'Thunderbird, als dat om een eigen wachtwoord vraagt',
      'Scanners, printers en scripts die e-mail versturen',
    ],
    needsNoneList: [
      'Webmail in een browser',
      'Programma’s die de inlogpagina van je organisatie in een venster openen',
      'Alles wat zelf al om de tweede stap heeft gevraagd',
    ],
    unsure:
      'Weet je het niet zeker? Probeer eerst je gewone wachtwoord. Zegt het programma dat het fout is terwijl het klopt, dan heeft het een app-wachtwoord nodig.',
    where: 'Waar vind ik mijn app-wachtwoorden?',
    whereText:
      'Onder Beveiliging. Je ziet welk apparaat er een heeft en wanneer dat voor het laatst is gebruikt; je kunt het verwijderen of een nieuw maken.',
    whereLink: 'Naar je beveiliging',
    signInFirst: 'Daarvoor log je eerst in twee stappen in. Met een app-wachtwoord kom je nooit op deze website.',
    refused: 'Mijn mailprogramma zegt dat het wachtwoord fout is',
    refusedText: [
      'Misschien staat je gewone wachtwoord erin. Oudere programma’s hebben in plaats daarvan een app-wachtwoord nodig.',
      'Of het app-wachtwoord is verwijderd of verlopen. Kijk onder Beveiliging; staat het er niet bij, maak dan een nieuw.',
      'Elk app-wachtwoord is voor één apparaat. Zoek niet naar het oude: maak een nieuw en typ dat in.',
    ],
    lost: 'Ik ben een apparaat kwijt',
    lostText: 'Verwijder het app-wachtwoord ervan. Het apparaat is meteen afgesloten; verder verandert er niets.',
    setUp: 'Een programma instellen',
    setUpIntro: 'Stap voor stap, met de gegevens van deze server.',
    plain: 'Gebruik je e-mailadres en je gewone wachtwoord. Je programma laat de inlogpagina van je organisatie zien.',
    manage: 'Inloggen in twee stappen beheren',
    manageText: 'Stel eerst een authenticator-app in: die werkt op elke telefoon, ook zonder verbinding.',
  },

  programs: {
    'outlook-2010': {
      title: 'Outlook 2010 tot en met 2016',
      steps: [
        'Kies Bestand en dan Account toevoegen (of Accountinstellingen).',
        'Kies voor handmatig instellen en dan POP of IMAP.',
        'Vul je naam, je adres en de gegevens hieronder in.',
        'Onder Meer instellingen, Server voor uitgaande e-mail: vink aan dat voor deze server verificatie nodig is, met dezelfde gegevens.',
        'Onder Meer instellingen, Geavanceerd: vul de poorten en versleuteling van hieronder in.',
        'Test het account en voltooi.',
      ],
    },
    'apple-mail': {
      title: 'Apple Mail op een Mac',
      steps: [
        'Kies Mail, dan Voeg account toe en dan Andere e-mailaccount.',
        'Typ je naam, je adres en het wachtwoord en log in.',
        'Vraagt Mail om servers? Vul dan de gegevens hieronder in.',
      ],
    },
    iphone: {
      title: 'iPhone en iPad',
      steps: [
        'Open Instellingen, dan Apps, Mail, Mail-accounts, Voeg account toe. (Vóór iOS 18: Instellingen, Mail, Accounts.)',
        'Kies Andere en dan Voeg e-mailaccount toe.',
        'Typ je naam, je adres en het wachtwoord.',
        'Kies IMAP en vul de gegevens hieronder in.',
      ],
    },
    android: {
      title: 'Android-telefoons',
      steps: [
        'Open je mailapp en voeg een account toe. Kies ‘Overig’ of ‘IMAP’.',
        'Typ je adres en kies voor handmatig instellen.',
        'Vul de gegevens hieronder in.',
      ],
    },
    thunderbird: {
      title: 'Thunderbird',
      steps: [
        'Open het menu en kies Nieuwe account en dan E-mail.',
        'Typ je naam, je adres en het wachtwoord. Meestal vindt Thunderbird de rest zelf.',
        'Lukt dat niet? Kies voor handmatig configureren en vul de gegevens hieronder in, met ‘Normaal wachtwoord’ als authenticatiemethode.',
      ],
    },
    scanner: {
      title: 'Een scanner, printer of script',
      steps: [
        'Open de instellingen van het apparaat, meestal via het adres ervan in een browser, en zoek E-mail of SMTP.',
        'Vul de gegevens hieronder in. Zet verificatie aan.',
        'Kun je kiezen tussen soorten verificatie? Neem PLAIN of LOGIN.',
        'Stuur een testpagina naar jezelf.',
      ],
    },
  },

  settings: {
    title: 'Gegevens',
    makeOne: 'Maak eerst een app-wachtwoord voor dit apparaat',
    incoming: 'Inkomende e-mail',
    outgoing: 'Uitgaande e-mail (SMTP)',
    server: 'Server',
    port: 'Poort',
    encryption: 'Versleuteling',
    implicit: 'SSL/TLS',
    starttls: 'STARTTLS',
    user: 'Gebruikersnaam',
    yourAddress: 'je e-mailadres',
    password: 'Wachtwoord',
    appPassword: 'je app-wachtwoord',
    usualPassword: 'je wachtwoord',
    activeSync: 'Exchange (ActiveSync)',
  },
}
