/**
 * What the portal says, in English. The other tables have the same keys or don't compile; values with something in them are
 * functions, so that each language can put it where it belongs.
 */

const plural = new Intl.PluralRules('en')
const count = (n: number, one: string, other: string): string => `${n} ${plural.select(n) === 'one' ? one : other}`

export const en = {
  languageName: 'English',
  chooseLanguage: 'Language',
  skip: 'Skip to the content',

  nav: {
    label: 'Pages',
    securityInfo: 'Security info',
    sessions: 'Where am I signed in?',
    profile: 'Profile',
    help: 'Help',
    admin: 'Administration',
    signOut: 'Sign out',
    signIn: 'Sign in',
  },

  common: {
    next: 'Next',
    back: 'Back',
    cancel: 'Cancel',
    done: 'Done',
    close: 'Close this message',
    copy: 'Copy',
    copied: 'Copied',
    copyFailed: 'That didn’t work. Select the text and copy it yourself.',
    print: 'Print',
    delete: 'Delete',
    deleteNamed: (name: string) => `Delete ${name}`,
    rename: 'Rename',
    renameNamed: (name: string) => `Rename ${name}`,
    save: 'Save',
    add: 'Add',
    never: 'never',
    neverUsed: 'Never used',
    noUndo: 'This can’t be undone.',
    or: 'or',
    from: (place: string) => `from ${place}`,
    unknownDevice: 'Unknown program',
    step: (n: number, of: number) => `Step ${n} of ${of}`,
  },

  protocols: {
    imap: 'IMAP',
    pop3: 'POP3',
    smtp: 'SMTP (sending)',
    eas: 'Exchange ActiveSync',
  } as Readonly<Record<string, string>>,

  signIn: {
    title: 'Sign in',
    intro: 'This is where you manage how you sign in to your mail.',
    user: 'Email address',
    password: 'Password',
    submit: 'Sign in',
    passkey: 'Sign in with a passkey',
    provider: (name: string) => `Sign in with ${name}`,
    nobody: 'Nobody can sign in here yet. Your administrator has not set up how.',
    forwarding: (name: string) => `On to ${name} …`,
    forwardingText: 'You are being sent on. If nothing happens, follow the link.',
    forwardingLink: (name: string) => `Go to ${name}`,
    withInvitation: 'First time here? Use the link in the invitation you were given.',
  },

  secondStep: {
    title: 'Is it really you?',
    totp: 'Enter the six-digit code that your authenticator app shows now.',
    totpLabel: 'Code',
    passkey: 'Your device will ask for your fingerprint, face or PIN.',
    passkeySubmit: 'Use your passkey',
    recovery: 'Enter one of the recovery codes you saved. Each works once.',
    recoveryLabel: 'Recovery code',
    submit: 'Continue',
    otherWay: 'Another way',
    byTotp: 'Use your authenticator app',
    byPasskey: 'Use a passkey',
    byRecoveryCode: 'Use a recovery code',
    byProvider: 'Sign in again at your provider',
    startOver: 'Start again',
  },

  stepUp: {
    title: 'Please confirm it’s you',
    intro:
      'It has been a while since you signed in. To change something here, confirm once more. You come straight back.',
  },

  refused: {
    'bad-credentials': 'That didn’t work. Check what you entered and try again.',
    'bad-code': 'That code isn’t right, or has been used already. Wait for the next one and try again.',
    throttled: (seconds: number) =>
      `Too many attempts. Please wait ${count(seconds, 'second', 'seconds')} and try again.`,
    'flow-over': 'That took too long. Please start again.',
    'no-two-step': 'Your provider signed you in without a second step. Turn that on there, then come back.',
    'not-linked': 'Your account there isn’t linked with a mailbox here. Ask your administrator for an invitation.',
    'provider-failed': 'Your provider could not sign you in. Please try again.',
    'needs-invitation':
      'Your password is right, but you haven’t set up two-step sign-in yet. Ask your administrator for an invitation link.',
  },

  passkeys: {
    needScripts: 'Passkeys need JavaScript, which is off in this browser.',
    unsupported: 'This browser can’t do passkeys.',
    cancelled: 'That was cancelled or took too long. Try again whenever you like.',
    failed: 'The passkey did not work. Please try again.',
    exists: 'This device already has a passkey for you.',
  },

  invitation: {
    title: (name: string) => `Welcome, ${name}`,
    intro: (user: string) => `Set up two-step sign-in for ${user}. It takes about two minutes.`,
    reset: (user: string) =>
      `Two-step sign-in for ${user} was reset. Set it up again here; it takes about two minutes.`,
    need: 'You need your phone, or a computer with a fingerprint reader, a camera or a PIN.',
    start: 'Start',
    validUntil: (when: string) => `This link works once and runs out ${when}.`,
    gone: 'This link doesn’t work any more',
    goneText:
      'It has been used, or it has run out. Ask your administrator for a new one. If you set up two-step sign-in already, just sign in.',
  },

  enrol: {
    title: 'How do you want to confirm it’s you?',
    intro: 'From now on, signing in here takes two steps. Pick how you do the second one; you can add the other later.',
    codesTitle: 'Save your recovery codes',
    codesIntro:
      'If you lose your phone, one of these lets you in. Each works once. Keep them on paper or in a password manager, not on the phone.',
    codesOnce: 'You won’t see these codes again.',
    codesSaved: 'I have saved them',
    codesMissing: 'You have no recovery codes yet. They let you in when your phone is lost.',
    codesMake: 'Make recovery codes',
    appPasswordIntro:
      'Older mail programs, phones and scanners can’t do the second step. Each of them gets an app password instead. Here is your first.',
    doneTitle: 'All set',
  },

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

  home: {
    title: 'Security info',
    intro: (address: string) => `How you sign in as ${address}.`,
    add: 'Add method',
    methods: 'Two-step sign-in',
    totp: 'Authenticator app',
    passkey: 'Passkey',
    synced: 'kept in your account',
    added: (when: string) => `Added ${when}`,
    used: (when: string) => `last used ${when}`,
    recoveryCodes: 'Recovery codes',
    codesLeft: (n: number) => `${count(n, 'code', 'codes')} left`,
    codesMade: (when: string) => `made ${when}`,
    codesNone: 'None. Make some, for the day you lose your phone.',
    codesRenew: 'New codes',
    provider: 'Linked account',
    linked: (when: string) => `Linked ${when}`,
    appPasswords: 'App passwords',
    appPasswordsIntro: 'One for each device that can’t do two steps.',
    appPasswordsCount: (live: number, cap: number) => `${live} of ${cap}`,
    appPasswordsNone: 'You have none.',
    appPasswordsWhich: 'Which of my programs need one?',
    appPasswordsForbidden:
      'Your organisation has turned app passwords off. These no longer work, and you can delete them.',
    newAppPassword: 'New app password',
    created: (when: string) => `Made ${when}`,
    lastUsed: (when: string, protocol: string, ip: string) => `Last used ${when}, ${protocol}, from ${ip}`,
    lastUsedAgent: (when: string, protocol: string, ip: string, agent: string) =>
      `Last used ${when} by ${agent}, ${protocol}, from ${ip}`,
    only: (protocols: string) => `Only for ${protocols}`,
    networks: (networks: string) => `Only from ${networks}`,
    expires: (when: string) => `Runs out ${when}`,
    expired: (when: string) => `Ran out ${when}`,
    open: (n: number) => `${count(n, 'open connection', 'open connections')}`,
    deleteAll: 'Delete all app passwords',
    shortNames: 'Short names',
    shortNamesIntro:
      'For scanners and other devices in the office: the user name to type in there, with an app password of its own for each.',
    shortNameOn: (protocol: string, port: number) => `${protocol}, port ${port}`,
    shortNameSender: (sender: string) => `From address to set: ${sender}`,
    lastMethod: 'To replace this, add another one first.',
  },

  appPassword: {
    newTitle: 'New app password',
    firstTitle: 'Your first app password',
    name: 'Which device or program is it for?',
    nameHint: 'For example “iPad” or “Outlook at home”. It is how you recognise it later.',
    nameMissing: 'Please give it a name.',
    more: 'More',
    protocols: 'What it may be used for',
    expiry: 'How long it works',
    expiryDefault: 'As usual',
    expiryNever: 'Until I delete it',
    expiryDays: (n: number) => count(n, 'day', 'days'),
    networks: 'From which networks',
    networksHint: 'Leave this empty for everywhere. Otherwise addresses or networks, separated by blanks: 192.0.2.0/24',
    invalid: 'That can’t be used as it is. Check the name (at most 64 characters) and the networks.',
    shownTitle: (name: string) => `App password for ${name}`,
    shownIntro:
      'Type or paste this into the device, in place of your usual password. Your user name and everything else stay the same.',
    label: 'App password',
    once: 'You won’t see it again. If you lose it, delete it and make a new one.',
    spaces: 'Spaces and capitals don’t matter.',
    how: 'How do I set up my program? (new window)',
    capTitle: (cap: number) => `You have ${cap} app passwords, which is the most`,
    capIntro: (name: string) =>
      `Delete one that you no longer use, and you can make the one for ${name} straight away. Those unused the longest come first.`,
    deleteTitle: (name: string) => `Delete “${name}”?`,
    deleteText: (name: string) =>
      `${name} can then no longer get at your mail, from this moment on. This can’t be undone.`,
    deleteSubmit: 'Delete',
    deleteAllTitle: 'Delete all app passwords?',
    deleteAllText: (n: number) =>
      `${count(n, 'device', 'devices')} can then no longer get at your mail. This can’t be undone.`,
    deleteAllSubmit: 'Delete all',
    renameTitle: (name: string) => `Rename “${name}”`,
    renameName: 'New name',
  },

  deviceSetUp: {
    title: 'Set up an iPhone, iPad or Mac',
    intro:
      'You get a link for the device. Opening it there sets up Mail and makes an app password for that device alone; there is nothing to type.',
    name: 'Which device is it?',
    nameHint: 'For example “iPhone”. You will see this name in your list.',
    kind: 'What should be set up?',
    kinds: {
      imap: 'Mail (iPhone, iPad and Mac)',
      eas: 'Mail, calendar and contacts by ActiveSync (iPhone and iPad)',
    },
    make: 'Make the link',
    invalid: 'That can’t be. Check the name: at most 64 characters.',
    noRoom: (cap: number) => `You have ${cap} app passwords, and there is no room for another. Delete one first.`,
    tooMany: 'Too many links are waiting to be used. Cancel one first.',
    made: 'Links of the last day',
    used: (at: string, ip: string) => `Used ${at}, from ${ip}`,
    waiting: (at: string) => `Made ${at}, not used yet`,
    runOut: 'Not used, and run out',
    cancel: 'Cancel this link',
    linkTitle: (name: string) => `Set up “${name}”`,
    scan: 'Scan this with the camera of the iPhone or iPad.',
    scanAlt: 'QR code with the set-up link',
    orOpen: 'Or open this link on the device itself, in Safari.',
    once: (when: string) =>
      `The link works once and runs out ${when}. Show it to nobody: whoever opens it gets into your mail.`,
    installTitle: 'Set up mail on this device',
    installIntro: (user: string, name: string) =>
      `This sets up Mail for ${user} and makes an app password called “${name}”.`,
    install: 'Set up this device',
    thenAllow: 'If you are asked whether a profile may be downloaded, allow it.',
    thenPhone: 'iPhone and iPad: open Settings, choose “Profile Downloaded”, then Install.',
    thenMac: 'Mac: open the downloaded file, then System Settings, and install the profile there.',
    validUntil: (when: string) => `This works once and runs out ${when}.`,
    gone: 'This link doesn’t work any more',
    goneText: 'It has been used, or it has run out. Make a new one on the page where you got it.',
    failedText:
      'No app password could be made: you may have as many as you can have. Delete one, then make a new link.',
  },

  deleteMethod: {
    title: (name: string) => `Delete “${name}”?`,
    text: 'You can then no longer sign in with it. This can’t be undone.',
  },

  notes: {
    'app-password-deleted': (name: string) => `“${name}” is deleted.`,
    'device-blocked': (name: string) => `${name} is blocked.`,
    noneOpen: 'There were no open connections.',
    connectionsEnded: (n: number) => `${count(n, 'open connection was', 'open connections were')} ended.`,
    'device-allowed': (name: string) => `${name} is let in from now on.`,
    'device-forgotten': (name: string) => `${name} is forgotten.`,
    partly: 'Some servers did not answer in time; they will end the rest shortly.',
    'app-passwords-deleted': (n: number) => `${count(n, 'app password is', 'app passwords are')} deleted.`,
    'method-deleted': (name: string) => `“${name}” is deleted.`,
    'method-added': (name: string) => `“${name}” is added.`,
    renamed: (name: string) => `It is now called “${name}”.`,
    'user-added': (name: string) => `${name} is added.`,
    endedBefore: 'That connection had already ended.',
    'signed-out-others': (n: number) =>
      n === 0 ? 'You were signed in nowhere else.' : `${count(n, 'other sign-in was', 'other sign-ins were')} ended.`,
    'app-password-ready': 'Your app password works from now on.',
    enrolled: 'You are all set. Signing in takes two steps from now on.',
    'last-method': 'This is your only second step. Add another one first, then delete this.',
    'not-allowed': 'Your organisation doesn’t allow that.',
    'for-administrators': 'Only an administrator can let that device in.',
    'signed-out': 'You are signed out.',
    'session-over': 'You were signed out because nothing happened for a while. Please sign in again.',
    language: 'The language is changed.',
    'password-set': 'Your password is changed.',
    'user-disabled': 'The user is disabled.',
    'user-enabled': 'The user is enabled.',
    'two-step-reset': 'Two-step sign-in is reset.',
    'policy-set': 'The policy is changed.',
  },

  notices: {
    title: 'You should know',
    dismiss: 'Got it',
    stillTries: (name: string, deleted: string) => `${name}, deleted ${deleted}, still tries to sign in`,
    stillTriesText: (tried: string, ip: string, protocol: string) =>
      `Last ${tried} by ${protocol} from ${ip}. If that is your old device: remove the account there, or give it a new app password. If you don’t know it, there is nothing to do: it gets nowhere.`,
    loginRefused: {
      'app-password-expired': (name: string) => `${name} has run out, and a device still signs in with it`,
      'not-on-this-protocol': (name: string) => `${name} is used on a device for which it is not meant`,
      'use-app-password': (_: string) => 'A phone or tablet signs in with your own password',
    } as Readonly<Record<string, (name: string) => string>>,
    loginRefusedOther: 'A phone or tablet can’t sign in',
    loginRefusedText: (at: string, ip: string, protocol: string) =>
      `Last ${at} by ${protocol} from ${ip}, and it gets no mail. Give it a new app password.`,
    setUpUsed: (name: string) => `A set-up link was used: ${name} now has an app password`,
    setUpUsedText: (at: string, ip: string) => `${at}, from ${ip}. Was that you?`,
    setUpNotMe: 'It wasn’t me: delete it',
    doneForYou: {
      'app-password-created': (name: string | null) =>
        `An administrator made an app password for you${name === null ? '' : `: ${name}`}`,
      'app-password-deleted': (name: string | null) =>
        `An administrator deleted an app password of yours${name === null ? '' : `: ${name}`}`,
      'device-blocked': (name: string | null) =>
        `An administrator blocked a phone or tablet of yours${name === null ? '' : `: ${name}`}`,
      'two-step-reset': (_: string | null) => 'An administrator reset your two-step sign-in',
      'method-deleted': (name: string | null) =>
        `An administrator deleted a way for you to sign in${name === null ? '' : `: ${name}`}`,
    } as Readonly<Record<string, (name: string | null) => string>>,
    doneForYouOther: 'An administrator changed something in your account',
    doneForYouText: (at: string) => `${at}. If this surprises you, ask them.`,
    codesLow: (n: number) =>
      n === 0 ? 'You have no recovery codes left' : `You have only ${count(n, 'recovery code', 'recovery codes')} left`,
    codesLowText: 'Make new ones, so that you can get in when your phone is lost.',
    passwordReset: 'Your password was reset',
    passwordResetText: (at: string, n: number) =>
      `${at}. Your ${count(n, 'app password still works', 'app passwords still work')}. If somebody else may have known your password, delete those you don’t recognise.`,
  },

  sessions: {
    title: 'Where am I signed in?',
    mail: 'Mail programs',
    mailNone: 'No mail program is connected right now.',
    primary: 'Your own password',
    since: (protocol: string, ip: string, when: string) => `${protocol}, from ${ip}, since ${when}`,
    end: 'End',
    endNamed: (name: string) => `End the connection of ${name}`,
    endHint: 'A program whose connection you end signs in again by itself. To keep it out, delete its app password.',
    portal: 'This website',
    here: 'This browser',
    other: (when: string, ip: string) => `Last seen ${when}, from ${ip}`,
    signOutOthers: 'Sign out everywhere else',
  },

  devices: {
    title: 'Phones and tablets',
    unnamed: 'Unnamed device',
    id: (id: string) => `device ${id}`,
    seen: (first: string, last: string, ip: string) => `First seen ${first}, last seen ${last} from ${ip}`,
    states: { allowed: 'Let in', blocked: 'Blocked', waiting: 'Waiting' },
    blockedByAdministrator: 'Blocked by an administrator',
    blockedHint: 'Only an administrator can let in what an administrator has blocked.',
    waitingHint: 'A device that waits gets no mail yet. Ask your administrator to let it in.',
    block: 'Block',
    blockNamed: (name: string) => `Block ${name}`,
    blockTitle: (name: string) => `Block ${name}?`,
    blockText:
      'It no longer gets your mail, from this moment on, and you can let it in again. Have you lost it? Delete its app password as well.',
    blockTextForGood:
      'It no longer gets your mail, from this moment on. Only an administrator can let it in again. Have you lost it? Delete its app password as well.',
    adminBlockText: (user: string) =>
      `It no longer gets the mail of ${user}, from this moment on. Its app password goes on working elsewhere.`,
    allow: 'Let in',
    allowNamed: (name: string) => `Let in ${name}`,
    forget: 'Forget',
    forgetNamed: (name: string) => `Forget ${name}`,
    forgetTitle: (name: string) => `Forget ${name}?`,
    forgetText:
      'It disappears from this list. When it comes again it counts as new and is let in, even if you had blocked it.',
    forgetTextWaits:
      'It disappears from this list. When it comes again it counts as new and waits until an administrator lets it in.',
    adminForgetText: (user: string) =>
      `It disappears from the list of ${user}. When it comes again it counts as new, even if it was blocked.`,
  },

  profile: {
    title: 'Profile',
    name: 'Name',
    address: 'Email address',
    language: 'Language',
    nameHint: 'Your administrator can change your name.',
    more: 'Your security info',
    signOut: 'Sign out',
  },

  help: {
    title: 'Help',
    which: 'Which of my programs need an app password?',
    whichIntro:
      'Find your program. If it shows you the sign-in page of your organisation, with its second step, it needs none.',
    needs: 'Needs one',
    needsNone: 'Needs none',
    needsList: [
      'Outlook 2016 and older',
      'Mail on an iPhone, iPad or Mac, when set up as “Other” or with a typed password',
      'Older Android phones: the built-in mail app',
      'Thunderbird, when it asks for a password of its own',
      'Scanners, printers and scripts that send mail',
    ],
    needsNoneList: [
      'Webmail in a browser',
      'Programs that open your organisation’s sign-in page in a window',
      'Anything that has asked you for the second step itself',
    ],
    unsure:
      'Not sure? Try your usual password first. If the program says it is wrong although it is right, it needs an app password.',
    where: 'Where are my app passwords?',
    whereText:
      'In your security info. You see which device has one and when it was last used; you can delete it or make another.',
    whereLink: 'Go to your security info',
    signInFirst: 'You have to sign in with two steps first. An app password never opens this website.',
    refused: 'My mail program says that the password is wrong',
    refusedText: [
      'It may have your usual password. Older programs need an app password in its place.',
      'Or its app password was deleted or has run out. Look in your security info; if it isn’t there, make a new one.',
      'Each app password is for one device. Don’t look for the old one: make a new one and type it in.',
    ],
    lost: 'I have lost a device',
    lostText: 'Delete its app password. The device is cut off at once; nothing else changes.',
    setUp: 'Set up a program',
    setUpIntro: 'Step by step, with the settings of this server.',
    plain:
      'Use your email address and your usual password. Your program will show you the sign-in page of your organisation.',
    manage: 'Manage your two-step sign-in',
    manageText: 'Set up an authenticator app first: it works on every phone, also without a connection.',
  },

  programs: {
    'outlook-2010': {
      title: 'Outlook 2010 to 2016',
      steps: [
        'Choose File, then Add Account (or Account Settings).',
        'Choose to set the server up by hand, then POP or IMAP.',
        'Fill in your name, your address, and the settings below.',
        'Under More Settings, Outgoing Server: tick “My outgoing server requires authentication”, with the same settings.',
        'Under More Settings, Advanced: type in the port numbers and encryption from below.',
        'Test the account, then finish.',
      ],
    },
    'apple-mail': {
      title: 'Apple Mail on a Mac',
      steps: [
        'Choose Mail, then Add Account, then Other Mail Account.',
        'Type in your name, your address and the password, then sign in.',
        'If Mail asks for servers, fill in the settings below.',
      ],
    },
    iphone: {
      title: 'iPhone and iPad',
      steps: [
        'Open Settings, then Apps, Mail, Mail Accounts, Add Account. (Before iOS 18: Settings, Mail, Accounts.)',
        'Choose Other, then Add Mail Account.',
        'Type in your name, your address and the password.',
        'Choose IMAP and fill in the settings below.',
      ],
    },
    android: {
      title: 'Android phones',
      steps: [
        'Open your mail app and add an account. Choose “Other” or “IMAP”.',
        'Type in your address, then choose manual set-up.',
        'Fill in the settings below.',
      ],
    },
    thunderbird: {
      title: 'Thunderbird',
      steps: [
        'Open the menu and choose New Account, then Email.',
        'Type in your name, your address and the password. Thunderbird usually finds the settings by itself.',
        'If it does not: choose to configure by hand and fill in the settings below, with “Normal password” for authentication.',
      ],
    },
    scanner: {
      title: 'A scanner, printer or script',
      steps: [
        'Open the settings of the device, usually by its address in a browser, and find Email or SMTP.',
        'Fill in the settings below. Turn authentication on.',
        'If it offers several kinds of authentication, take PLAIN or LOGIN.',
        'Send a test page to yourself.',
      ],
    },
  },

  settings: {
    title: 'Settings',
    makeOne: 'First make an app password for this device',
    incoming: 'Incoming mail',
    outgoing: 'Outgoing mail (SMTP)',
    server: 'Server',
    port: 'Port',
    encryption: 'Encryption',
    implicit: 'SSL/TLS',
    starttls: 'STARTTLS',
    user: 'User name',
    yourAddress: 'your email address',
    password: 'Password',
    appPassword: 'your app password',
    usualPassword: 'your password',
    activeSync: 'Exchange (ActiveSync)',
  },

  errors: {
    notFound: 'There is nothing here',
    notFoundText: 'The page doesn’t exist, or what it was about has been deleted.',
    unavailable: 'Not available just now',
    unavailableText:
      'Something behind this page isn’t answering. Your mail keeps working. Please try again in a minute.',
    stale: 'Please send that again',
    staleText:
      'This page was open for too long, or in another window you have signed in anew. Nothing was changed. Go back, reload the page and try again.',
    wrongPlace: (url: string) => `Forms only work at ${url}. Open the page there.`,
    invalid: 'That can’t be right',
    invalidText: 'What arrived isn’t what this page sends. Nothing was changed.',
    bug: 'Something went wrong',
    bugText: 'That is our fault. It has been noted. Please try again.',
    tooMuch: 'That was too much',
    goHome: 'To the start page',
    retry: 'Try again',
  },

  admin: {
    title: 'Administration',
    warnings: (count: number) =>
      count === 1 ? 'One setting of this server is dangerous:' : `${count} settings of this server are dangerous:`,
    users: 'Users',
    audit: 'Audit trail',
    policies: 'App password policy',
    find: 'Find a user',
    findHint: 'The beginning of an address is enough.',
    findSubmit: 'Find',
    none: 'No user fits.',
    more: 'More',
    add: 'Add a user',
    address: 'Email address',
    name: 'Name',
    groups: 'Groups',
    groupsHint: 'Separated by blanks. Can be empty.',
    asAdmin: 'May administer',
    invite: 'Make an invitation link',
    addSubmit: 'Add',
    invited: (user: string) => `Invitation for ${user}`,
    invitedText: (until: string) =>
      `Give this link to them, and to nobody else. It works once and runs out ${until}. You won’t see it again.`,
    enabled: 'Enabled',
    disabled: 'Disabled',
    administrator: 'Administrator',
    enrolled: (when: string) => `Two-step since ${when}`,
    notEnrolled: 'No two-step yet',
    created: (when: string) => `Added ${when}`,
    appPasswords: (n: number) => count(n, 'app password', 'app passwords'),
    methods: 'Two-step sign-in',
    methodsNone: 'None set up.',
    disable: 'Disable',
    disableTitle: (user: string) => `Disable ${user}?`,
    disableText:
      'They can no longer sign in here or get at their mail, and open connections end at once. You can enable them again.',
    enable: 'Enable',
    resetTwoStep: 'Reset two-step sign-in',
    resetTitle: (user: string) => `Reset two-step sign-in for ${user}?`,
    resetText:
      'All their second steps and recovery codes are deleted, and they are signed out here. They get an invitation link to set it up again. App passwords stay. This can’t be undone.',
    resetSubmit: 'Reset',
    newInvitation: 'New invitation link',
    deleteAll: 'Delete all app passwords',
    deleteAllTitle: (user: string) => `Delete all app passwords of ${user}?`,
    deleteAllText: (n: number) => `${count(n, 'device is', 'devices are')} cut off at once. This can’t be undone.`,
    deleteOneText: (user: string, name: string) => `“${name}” of ${user} is cut off at once. This can’t be undone.`,
    forUser: 'App passwords of this user',
    auditOf: (user: string) => `Audit trail of ${user}`,
    auditWhen: 'When',
    auditWhat: 'What',
    auditWho: 'By whom',
    auditUser: 'User',
    auditNone: 'Nothing yet.',
    auditOlder: 'Older',
    auditNewest: 'Newest',
    auditSince: (hours: number) =>
      hours === 1 ? 'Last hour' : hours < 48 ? `Last ${hours} hours` : `Last ${count(hours / 24, 'day', 'days')}`,
    policyIntro: 'Who may have app passwords. Where they are forbidden, existing ones stop working at once.',
    policyAll: 'Everybody',
    policyGroup: (group: string) => `Group ${group}`,
    policyAllowed: 'Allowed',
    policyForbidden: 'Forbidden',
    policyInherit: 'As for everybody',
    policySet: 'Change',
    policyGroupName: 'Group',
    policyOther: 'Another group',
  },
}

export type Messages = typeof en
