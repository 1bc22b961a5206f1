/** Help, and how to set up a program: English. */

export const help = {
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
}
