/**
 * What every command is given: streams, the options that stand everywhere, and ways to the configuration and the services.
 */

import type { LoadedConfig } from '../config.ts'
import { loadConfig, problemText } from '../config.ts'
import type { Services } from '../contract/services.ts'
import type { Log } from '../log.ts'
import { createLog } from '../log.ts'
import type { Backend } from './backend.ts'
import { CliError } from './failure.ts'
import type { Io } from './io.ts'
import { plain, printJson, write } from './output.ts'

export interface Context {
  readonly io: Io
  /** --json was given. */
  readonly json: boolean
  readonly version: string
  loadConfig(): Promise<LoadedConfig>
  /** Does `work` with the keeper's services: a running server's, or those of a keeper in this process. */
  withServices<T>(work: (services: Services, running: boolean) => Promise<T>): Promise<T>
  readonly backend: Backend
  /** The value as JSON, or the text for people. */
  print(value: unknown, text: string): Promise<void>
  /** A remark on standard error, without --json only. */
  note(text: string): void
  /** Something that should be known, on standard error. */
  warn(text: string): void
}

export interface ContextOptions {
  readonly io: Io
  readonly json: boolean
  readonly configPath: string | undefined
  readonly version: string
  readonly backend: Backend
}

export function createContext({ io, json, configPath, version, backend }: ContextOptions): Context {
  const warn = (text: string) => io.stderr.write(`sallyport: ${plain(text)}\n`)
  const load = async () => {
    const loaded = await loadConfig({ path: configPath, env: io.env, cwd: io.cwd })
    return loaded
  }
  return {
    io,
    json,
    version,
    backend,
    loadConfig: load,
    async withServices(work) {
      const { config } = await load()
      const { services, running, close } = await backend.openServices(config, quietLog(warn, version))
      try {
        return await work(services, running)
      } finally {
        await close()
      }
    },
    print: (value, text) => (json ? printJson(io, value) : write(io, text)),
    note(text) {
      if (!json) io.stderr.write(`${plain(text)}\n`)
    },
    warn,
  }
}

/** Commands are no servers: what a keeper in this process has to say goes to standard error, and only if it is serious. */
function quietLog(warn: (text: string) => void, version: string): Log {
  return createLog({
    level: 'warn',
    version,
    process: 'cli',
    destination: {
      write(line) {
        const { msg, detail, stack } = JSON.parse(line) as { msg: string; detail?: string; stack?: string }
        warn([msg, detail, stack].filter((part) => part !== undefined).join(': '))
      },
    },
  })
}

/** The configuration's warnings, on standard error. */
export function showWarnings(context: Context, { warnings }: LoadedConfig): void {
  for (const warning of warnings) context.warn(`warning: ${problemText(warning)}`)
}

/** Exactly one of several ways to say what is meant. */
export function oneWay(ways: Readonly<Record<string, boolean>>): void {
  const given = Object.entries(ways).filter(([, isGiven]) => isGiven)
  const all = Object.keys(ways).join(', or ')
  if (given.length === 0) throw new CliError('usage', `say what is meant: ${all}`)
  if (given.length > 1)
    throw new CliError('usage', `${given.map(([way]) => way).join(' and ')} do not go together: ${all}`)
}
