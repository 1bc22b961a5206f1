/** Ways to sign in: adding, changing and deleting one: Dutch. */

import type { methods as English } from './methods.en.ts'

export const methods: typeof English = {
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

  deleteMethod: {
    title: (name: string) => `‘${name}’ verwijderen?`,
    text: 'Je kunt er dan niet meer mee inloggen. Dit kun je niet ongedaan maken.',
  },
}
