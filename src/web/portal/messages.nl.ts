/** What the portal says, in Dutch. Same keys as the English table, or it does not compile. */

import type { Messages } from './messages.en.ts'

const plural = new Intl.PluralRules('nl')
const count = (n: number, one: string, other: string): string => `${n} ${plural.select(n) === 'one' ? one : other}`

export const nl = {
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
    noUndo: 'Dit kun je niet ongedaan maken.',
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
    byProvider: 'Opnieuw inloggen bij je organisatie',
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
    doneTitle: 'Alles staat klaar',
  },

  add: {
    title: 'Een manier van inloggen toevoegen',
    totp: 'Authenticator-app',
    totpText: 'Een app op je telefoon toont elke 30 seconden een nieuwe code.',
    passkey: 'Passkey',
    passkeyText: 'Je vingerafdruk, gezicht of pincode op dit apparaat, of een beveiligingssleutel.',
    recoveryCodes: 'Herstelcodes',
    recoveryCodesText: 'Tien codes voor als je je telefoon kwijtraakt.',
    appPassword: 'App-wachtwoord',
    appPasswordText: 'Voor een mailprogramma, telefoon of scanner die geen twee stappen kan.',
    setUp: 'Een iPhone, iPad of Mac instellen',
    setUpText: 'Scan een code met het apparaat en e-mail is ingesteld, met app-wachtwoord en al.',
    provider: (name: string) => `Inloggen met ${name}`,
    providerText: 'Met het account en de tweede stap die je daar hebt.',
    recommended: 'Aanbevolen',
  },

  totp: {
    title: 'Je authenticator-app instellen',
    install:
      'Open een authenticator-app op je telefoon. Elke app is goed: Google of Microsoft Authenticator, Aegis, 2FAS of je wachtwoordmanager.',
    scan: 'Voeg in de app een account toe en scan deze afbeelding.',
    scanAlt: 'QR-code met de sleutel voor je authenticator-app',
    cantScan: 'Lukt scannen niet? Typ dan deze sleutel in de app:',
    openApp: 'Zit je op je telefoon? Open hem in je app',
    enter: 'Vul de zes cijfers in die de app laat zien.',
    code: 'Code',
    name: 'Naam van deze app of telefoon',
    defaultName: 'Authenticator-app',
    submit: 'Bevestigen',
    wrong:
      'Die code klopt niet. Controleer of de klok van je telefoon automatisch wordt ingesteld en vul de code in die je nu ziet.',
    again: 'De afbeelding is verlopen. Hier is een nieuwe: verwijder het oude account uit je app en scan deze.',
  },

  passkey: {
    title: 'Een passkey maken',
    intro: 'Je apparaat vraagt om je vingerafdruk, gezicht of pincode. Daarvan verlaat niets je apparaat.',
    name: 'Naam',
    nameHint: 'Welk apparaat is het? Bijvoorbeeld ‘Laptop werk’.',
    defaultName: 'Passkey',
    submit: 'Passkey maken',
    instead: 'Liever een authenticator-app gebruiken',
  },

  password: {
    firstTitle: 'Kies een wachtwoord',
    newTitle: 'Nieuw wachtwoord',
    intro: 'Je logt hier in met dit wachtwoord en een code uit je app. Mailprogramma’s gebruiken het nooit.',
    others: 'Op andere plekken waar je hier bent ingelogd, word je uitgelogd.',
    password: 'Nieuw wachtwoord',
    hint: 'Minstens 8 tekens. Een paar woorden die niets met elkaar te maken hebben, onthoud je makkelijk.',
    again: 'Nog een keer hetzelfde',
    differ: 'Deze twee zijn niet hetzelfde. Typ ze opnieuw.',
    unfit: 'Kies er een van 8 tot 256 tekens.',
    change: 'Wachtwoord wijzigen',
  },

  recoveryCodes: {
    title: 'Nieuwe herstelcodes maken?',
    text: 'Je krijgt er tien nieuwe. De oude werken dan meteen niet meer.',
    submit: 'Nieuwe codes maken',
    newTitle: 'Je nieuwe herstelcodes',
  },

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

  deleteMethod: {
    title: (name: string) => `‘${name}’ verwijderen?`,
    text: 'Je kunt er dan niet meer mee inloggen. Dit kun je niet ongedaan maken.',
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
      'method-deleted': (name: string | null) =>
        `Een beheerder heeft een van je manieren om in te loggen verwijderd${name === null ? '' : `: ${name}`}`,
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

  admin: {
    title: 'Beheer',
    warnings: (count: number) =>
      count === 1
        ? 'Eén instelling van deze server is gevaarlijk:'
        : `${count} instellingen van deze server zijn gevaarlijk:`,
    users: 'Gebruikers',
    audit: 'Logboek',
    policies: 'Beleid voor app-wachtwoorden',
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
} satisfies Messages
