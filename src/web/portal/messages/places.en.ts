/** Where one is signed in and with what, and who one is: English. */

export const places = {
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
    ofUser: (name: string, user: string) => `${name} of ${user}`,
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
}
