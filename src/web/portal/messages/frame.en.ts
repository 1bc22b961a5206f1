/** What stands around every page, and words that many pages share: English. */

export const frame = {
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
}
