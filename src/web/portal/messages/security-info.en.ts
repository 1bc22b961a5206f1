/** The page of all that one signs in with, and what it tells at its top: English. */

import { countIn } from './count.ts'

const count = countIn('en')

export const securityInfo = {
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
}
