/**
 * The command line: a table of nouns, each in a file of its own that is loaded when it is asked for.
 *
 * `runCli` answers the exit code and never exits. Errors go to standard error as `sallyport: …`, with --json as
 * {"error":{"code","message"}}.
 */

import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import type { Backend } from './backend.ts'
import type { Context } from './context.ts'
import { createContext } from './context.ts'
import { asCliError, CliError, EXIT } from './failure.ts'
import type { Io } from './io.ts'

/** What a noun's file exports: fills in a command. `run` wraps what the command does. */
export type Define = (command: Command, run: Runner) => void

/** Makes commander's action of a function that gets the context, the arguments and the options. Its answer is the exit code. */
export type Runner = <A extends unknown[], O>(
  action: (context: Context, args: A, options: O) => Promise<number | undefined>,
) => (...args: unknown[]) => Promise<void>

interface Noun {
  readonly name: string
  readonly summary: string
  readonly load: () => Promise<Define>
}

const NOUNS: readonly Noun[] = [
  { name: 'serve', summary: 'run the server in the foreground', load: async () => (await import('./serve.ts')).serve },
  {
    name: 'health',
    summary: 'whether the server is up (exit 0 or 69), for containers',
    load: async () => (await import('./health.ts')).health,
  },
  {
    name: 'check',
    summary: 'which step of which hop fails, in words',
    load: async () => (await import('./check.ts')).check,
  },
  {
    name: 'config',
    summary: 'check and print the configuration, its schema, its reference',
    load: async () => (await import('./config.ts')).config,
  },
  {
    name: 'dns',
    summary: 'DNS records that lead mail clients here, and whether they are set',
    load: async () => (await import('./dns.ts')).dns,
  },
  {
    name: 'user',
    summary: 'users: add, import, invite, list, show, disable, enable, delete, set-password, reset-two-step …',
    load: async () => (await import('./user.ts')).user,
  },
  {
    name: 'app-password',
    summary: 'app passwords: create, list, update, delete',
    load: async () => (await import('./app-password.ts')).appPassword,
  },
  {
    name: 'policy',
    summary: 'who may have app passwords: list, show, set',
    load: async () => (await import('./policy.ts')).policy,
  },
  {
    name: 'device',
    summary: 'phones that have come by ActiveSync: list, block, allow, forget',
    load: async () => (await import('./device.ts')).device,
  },
  {
    name: 'session',
    summary: 'open mail sessions: list, end',
    load: async () => (await import('./session.ts')).session,
  },
  {
    name: 'throttle',
    summary: 'who is slowed down for failed logins: list, clear',
    load: async () => (await import('./throttle.ts')).throttle,
  },
  {
    name: 'secret',
    summary: 'upstream passwords of users, for method stored-secret: set, delete',
    load: async () => (await import('./secret.ts')).secret,
  },
  { name: 'audit', summary: 'who changed what, when', load: async () => (await import('./audit.ts')).audit },
  { name: 'keys', summary: 'keys of the key file: status', load: async () => (await import('./keys.ts')).keys },
  {
    name: 'token',
    summary: 'tokens of the admin API: create, list, delete',
    load: async () => (await import('./token.ts')).token,
  },
  {
    name: 'backup',
    summary: 'write a copy of the store to a new file',
    load: async () => (await import('./backup.ts')).backup,
  },
  {
    name: 'restore',
    summary: 'make a backup the store again, with no server running',
    load: async () => (await import('./backup.ts')).restore,
  },
]

const EXIT_CODES = `
Exit codes: 0 ok, 1 failed, 2 wrong usage, 69 something needed is unavailable, 77 not permitted, 78 configuration.
The configuration is looked for at --config, $SALLYPORT_CONFIG, ./sallyport.yaml, /etc/sallyport/sallyport.yaml.`

/** Runs one command line (without node and script). */
export async function runCli(args: readonly string[], io: Io, backend: Backend): Promise<number> {
  const json = args.includes('--json')
  try {
    const { program, code } = await programFor(args, io, backend)
    await program.parseAsync(args, { from: 'user' })
    return code()
  } catch (error) {
    return fail(error, json, io)
  }
}

async function programFor(
  args: readonly string[],
  io: Io,
  backend: Backend,
): Promise<{ program: Command; code: () => number }> {
  let code: number = EXIT.ok
  const version = packageVersion()
  const program = new Command('sallyport')
    .description('A gate for old mail clients: app passwords in front of any mail server.')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      outputError: () => undefined,
    })
    .configureHelp({ showGlobalOptions: true })
    .option('--config <file>', 'configuration file')
    .option('--json', 'print JSON')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .addHelpText('after', EXIT_CODES)

  const run: Runner =
    <A extends unknown[], O>(action: (context: Context, args: A, options: O) => Promise<number | undefined>) =>
    async (...given: unknown[]) => {
      // Commander hands over the arguments, then the options, then the command.
      const command = given.at(-1) as Command
      const options = command.optsWithGlobals<{ config?: string; json?: boolean }>()
      const context = createContext({ io, json: options.json === true, configPath: options.config, version, backend })
      code = (await action(context, given.slice(0, -2) as A, options as O)) ?? EXIT.ok
    }

  const { operands } = program.parseOptions([...args])
  const wanted = operands[0] === 'help' ? operands[1] : operands[0]
  for (const noun of NOUNS) {
    const command = program.command(noun.name).description(noun.summary)
    if (noun.name === wanted) (await noun.load())(command, run)
  }
  if (args.length === 0) program.help({ error: true })
  return { program, code: () => code }
}

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** Tells the error and answers the exit code. A fault of this program is not caught here. */
function fail(error: unknown, json: boolean, io: Io): number {
  const failure = error instanceof CommanderError ? usageError(error) : asCliError(error)
  if (failure === null) throw error
  if (failure === 'shown') return EXIT.ok
  if (failure.message !== '') {
    const text = json
      ? JSON.stringify({ error: { code: failure.code, message: failure.message } })
      : failure.message
          .split('\n')
          .map((line) => `sallyport: ${line}`)
          .join('\n')
    io.stderr.write(`${text}\n`)
  }
  return EXIT[failure.exit]
}

/** Commander's own errors are about usage; help and version are none. */
function usageError(error: CommanderError): CliError | 'shown' {
  if (error.exitCode === 0) return 'shown'
  // Help was shown because a command is missing: nothing to add.
  if (error.code === 'commander.help') return new CliError('usage', '')
  // The value of an unknown option may be a secret that somebody hoped to pass.
  const message = error.message.replace(/^error: /, '').replace(/(--?[\w-]+)=[^']*/, '$1')
  return new CliError('usage', `${message.replace('\n', ' ').replace(/\.$/, '')}; see --help`)
}
