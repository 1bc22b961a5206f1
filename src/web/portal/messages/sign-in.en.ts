/** Signing in, step by step, and setting up the second step for the first time: English. */

import { countIn } from './count.ts'

const count = countIn('en')

export const signIn = {
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
  },
}
