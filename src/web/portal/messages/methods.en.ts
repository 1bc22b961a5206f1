/** Ways to sign in: adding, changing and deleting one: English. */

export const methods = {
  add: {
    title: 'Add a way to sign in',
    totp: 'Authenticator app',
    totpText: 'An app on your phone shows a new code every 30 seconds.',
    passkey: 'Passkey',
    passkeyText: 'Your fingerprint, face or PIN on this device, or a security key.',
    recoveryCodes: 'Recovery codes',
    recoveryCodesText: 'Ten codes for the day you lose your phone.',
    appPassword: 'App password',
    appPasswordText: 'For a mail program, phone or scanner that can’t do two steps.',
    setUp: 'Set up an iPhone, iPad or Mac',
    setUpText: 'Scan a code with the device, and its mail is set up, app password included.',
    provider: (name: string) => `Sign in with ${name}`,
    providerText: 'With the account and second step that you have there.',
    recommended: 'Recommended',
  },

  totp: {
    title: 'Set up your authenticator app',
    install:
      'Open an authenticator app on your phone. Any will do: Google or Microsoft Authenticator, Aegis, 2FAS, or your password manager.',
    scan: 'In the app, add an account and scan this picture.',
    scanAlt: 'QR code with the key for your authenticator app',
    cantScan: 'Can’t scan it? Type this key into the app instead:',
    openApp: 'On this phone? Open it in your app',
    enter: 'Enter the six-digit code that the app shows.',
    code: 'Code',
    name: 'Name of this app or phone',
    defaultName: 'Authenticator app',
    submit: 'Confirm',
    wrong:
      'That code isn’t right. Check that the clock of your phone is set automatically, and enter the code it shows now.',
    again: 'The picture has run out. Here is a new one: delete the old entry in your app and scan this.',
  },

  passkey: {
    title: 'Make a passkey',
    intro: 'Your device will ask for your fingerprint, face or PIN. Nothing of it leaves your device.',
    name: 'Name',
    nameHint: 'Which device is it? For example “Work laptop”.',
    defaultName: 'Passkey',
    submit: 'Make a passkey',
    instead: 'Use an authenticator app instead',
  },

  password: {
    firstTitle: 'Choose a password',
    newTitle: 'New password',
    intro: 'You sign in here with this password and a code from your app. Mail programs never use it.',
    others: 'Wherever else you are signed in here, you are signed out.',
    password: 'New password',
    hint: 'At least 8 characters. A few words that don’t belong together are easy to remember.',
    again: 'The same again',
    differ: 'These two aren’t the same. Type them again.',
    unfit: 'Choose one of 8 to 256 characters.',
    change: 'Change password',
  },

  recoveryCodes: {
    title: 'Make new recovery codes?',
    text: 'You get ten new ones. The old ones stop working at once.',
    submit: 'Make new codes',
    newTitle: 'Your new recovery codes',
  },

  deleteMethod: {
    title: (name: string) => `Delete “${name}”?`,
    text: 'You can then no longer sign in with it. This can’t be undone.',
  },
}
