/** App passwords: making, showing and deleting them, and setting up a device with one: English. */

import { countIn } from './count.ts'

const count = countIn('en')

export const appPasswords = {
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
}
