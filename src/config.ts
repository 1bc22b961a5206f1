/**
 * The configuration: found, read, checked whole, and handed out as one frozen value.
 *
 * Keys are those of the file (declared in config/schema.ts), with four differences: durations are milliseconds;
 * paths are absolute; a secret's file (`passwordFile`) has become the secret itself (`password`), and `caFile` the
 * certificates (`ca`); listeners, upstreams and routes have one form each. What the file can leave out is filled in.
 *
 * `loadConfig` reports all that is wrong at once (`ConfigError`), each with file, line, key and what to do.
 */

import { isUtf8 } from 'node:buffer'
import { open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { checkConfig } from './config/checks.ts'
import type { ConfigDocument } from './config/document.ts'
import { MAX_FILE_BYTES, parseConfigDocument } from './config/document.ts'
import { unavailableFeatures } from './config/features.ts'
import { applyOverrides } from './config/overrides.ts'
import type { ConfigProblem } from './config/problems.ts'
import { ConfigError, keyText } from './config/problems.ts'
import type { Resolved } from './config/resolve.ts'
import { resolveFiles } from './config/resolve.ts'
import type { Settings } from './config/schema.ts'
import { settings } from './config/schema.ts'
import { jsonSchema, memberAt } from './config/shape.ts'
import type { PathProblem } from './config/wording.ts'
import { problemKey, wordIssue } from './config/wording.ts'

export type { ConfigProblem } from './config/problems.ts'

import { Secret } from './secret.ts'

export { ConfigError, problemText } from './config/problems.ts'

type ResolvedSettings = Resolved<Settings>
type Changed = 'dataDirectory' | 'runtimeDirectory' | 'store' | 'redis' | 'listeners' | 'upstreams' | 'routes'

/** The whole configuration, frozen. */
export interface Config extends Omit<ResolvedSettings, Changed> {
  /** Absolute. */
  readonly dataDirectory: string
  /** Where the sockets between processes are; absolute. */
  readonly runtimeDirectory: string
  readonly store: StoreConfig
  /** null: none, everything in process. */
  readonly redis: RedisConfig | null
  readonly listeners: readonly ListenerConfig[]
  /** By name. Look one up with `Object.hasOwn` when the name comes from elsewhere. */
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>
  /** Routes by user stand before routes by domain, otherwise in the order of the file; the first that fits counts. */
  readonly routes: readonly RouteConfig[]
}

/** `sqlite`: absolute path of the file. */
export type StoreConfig =
  | { readonly sqlite: string }
  | {
      readonly postgres: {
        /** Without user name and password. */
        readonly url: string
        readonly username: string | null
        readonly password: Secret | null
      }
    }

type RedisSettings = NonNullable<ResolvedSettings['redis']>
/** `nodes` are the server itself, the sentinels, or some nodes of the cluster, as `mode` says. */
export type RedisConfig = Omit<RedisSettings, 'urlPassword'>

/** One port. `name` ('imap-993') is unique and goes into logs. `bind` null: all addresses, IPv6 and IPv4. */
export type ListenerConfig = ResolvedSettings['listeners'][number] & { readonly name: string }
/** A port that speaks IMAP, POP3 or SMTP. */
export type MailListenerConfig = Extract<ListenerConfig, { readonly tls: string }>

export type UpstreamConfig = ResolvedSettings['upstreams'][string]
export type IdentityConfig = UpstreamConfig['identity']
/** Exactly one of `domain` and `users` is not null. */
export type RouteConfig = ResolvedSettings['routes'][number]

export interface LoadOptions {
  /** The file (--config); left out: $SALLYPORT_CONFIG, ./sallyport.yaml, /etc/sallyport/sallyport.yaml. */
  readonly path?: string | null | undefined
  /** Default: the process's own. */
  readonly env?: NodeJS.ProcessEnv
  /** What relative names on the command line mean. Default: the process's own. */
  readonly cwd?: string
  /** `LoadedConfig.settings` as accepted before: file and environment are then not asked for any, and names are relative to `path`. */
  readonly settings?: Secret
}

export interface LoadedConfig {
  readonly config: Config
  /** Absolute path of the file it came from. */
  readonly file: string
  /**
   * What it said, with the environment's settings over it, as JSON: for another process, which is spared the reading of YAML
   * (100 ms for 10,000 lines). There may be a password in a URL.
   */
  readonly settings: Secret
  /** What works and is still not as it should be. */
  readonly warnings: readonly ConfigProblem[]
  /** What it asks for and this version can't do: nobody serves with that. */
  readonly unavailable: readonly ConfigProblem[]
  /** The file's content with the environment's settings over it, before defaults: plain values, passwords in URLs masked. */
  readonly written: unknown
}

const SYSTEM_FILE = '/etc/sallyport/sallyport.yaml'

/**
 * Finds, reads and checks the configuration, and reads the secrets that it names.
 *
 * @throws ConfigError
 */
export async function loadConfig({
  path,
  env = process.env,
  cwd = process.cwd(),
  settings: accepted,
}: LoadOptions = {}): Promise<LoadedConfig> {
  const named = path ?? (env.SALLYPORT_CONFIG || null)
  const root = jsonSchema
  const document =
    accepted && named !== null
      ? acceptedDocument(accepted, resolve(cwd, named))
      : parseConfigDocument(...(await readConfigFile(named, cwd)))
  const { file } = document
  const overridden = applyOverrides(document.value ?? {}, accepted ? {} : env, root)
  const { value, origins } = overridden
  const place = (problem: PathProblem) => placed(problem, document, origins)

  const parsed = settings.safeParse(value)
  if (!parsed.success || overridden.problems.length > 0) {
    const issues = parsed.error?.issues ?? []
    const problems = issues.flatMap((issue) => wordIssue(issue, root, value)).map(place)
    throw new ConfigError(inOrder([...problems, ...overridden.problems]))
  }
  const files = await resolveFiles(parsed.data, dirname(file))
  const config = finish(files.value, dirname(file), env)
  const checks = checkConfig(config, parsed.data)
  const problems = [...files.problems, ...withoutRepeats(checks.problems, files.problems)]
  if (problems.length > 0) {
    const denied = problems.some((problem) => problem.denied === true)
    throw new ConfigError(inOrder(problems.map(place)), denied)
  }
  const warnings = inOrder([...files.warnings, ...checks.warnings].map(place))
  return {
    config: deepFreeze(config),
    file,
    settings: new Secret(JSON.stringify(value)),
    warnings,
    unavailable: inOrder(unavailableFeatures(config).map(place)),
    written: withoutPasswords(value),
  }
}

/** Which line it was is forgotten: what is wrong now was right before, and is in another file. */
function acceptedDocument(accepted: Secret, file: string): ConfigDocument {
  return { file, value: JSON.parse(accepted.reveal()), lineOf: () => null, lineOfKey: () => null }
}

/** Reads the first file that is there. */
async function readConfigFile(named: string | null, cwd: string): Promise<[text: string, file: string]> {
  const candidates = named === null ? [join(cwd, 'sallyport.yaml'), SYSTEM_FILE] : [resolve(cwd, named)]
  for (const file of candidates) {
    const fail = (message: string, denied = false) => new ConfigError([{ file, line: null, key: '', message }], denied)
    try {
      await using handle = await open(file)
      const stats = await handle.stat()
      if (!stats.isFile()) throw fail('is no regular file')
      if (stats.size > MAX_FILE_BYTES) throw fail('is bigger than 1 MiB: is it the right file?')
      const bytes = await handle.readFile()
      const text = bytes.toString()
      if (isUtf8(bytes) && !text.includes('\0')) return [text, file]
      const line = text.slice(0, text.search(/[\ufffd\0]/)).split('\n').length
      throw new ConfigError([{ file, line, key: '', message: 'is no text in UTF-8: save it in that encoding' }])
    } catch (error) {
      if (error instanceof ConfigError) throw error
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      if (code === 'ENOENT' && named === null) continue
      if (code === 'ENOENT') throw fail('does not exist')
      if (code === 'EACCES') throw fail(`may not be read by this user (uid ${process.getuid?.() ?? '?'})`, true)
      throw fail(`can't be read (${code})`)
    }
  }
  throw new ConfigError([
    {
      file: null,
      line: null,
      key: '',
      message: `no configuration found: looked for ${candidates.join(' and ')}. Name it with --config or $SALLYPORT_CONFIG, or begin with a copy of config/sallyport.yaml`,
    },
  ])
}

function placed(problem: PathProblem, document: ConfigDocument, origins: ReadonlyMap<string, string>): ConfigProblem {
  const key = problemKey(problem)
  const inFile = problem.path.length === 0 || memberAt(document.value, problem.path) !== undefined
  for (const [overridden, name] of origins) {
    const message = problem.message
    if (key === overridden) return { file: 'environment', line: null, key: name, message }
    const below = key.startsWith(`${overridden}.`) || key.startsWith(`${overridden}[`)
    // A section that the environment alone has made.
    const above = !inFile && overridden.startsWith(`${key}.`)
    if (below || above) return { file: 'environment', line: null, key: `${name} (${key})`, message }
  }
  const line = problem.atKey === null ? document.lineOf(problem.path) : document.lineOfKey(problem.path, problem.atKey)
  return { file: document.file, line, key, message: problem.message }
}

/** What lacks only because its file can't be read was said of the file: one fault, one complaint. */
function withoutRepeats(problems: readonly PathProblem[], ofFiles: readonly PathProblem[]): readonly PathProblem[] {
  const unread = new Set(ofFiles.flatMap(({ path }) => [keyText(path), keyText(path.slice(0, -1))]))
  return problems.filter(({ path }) => !unread.has(keyText(path)))
}

function inOrder(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  return [...problems].sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

/** Fills in what follows from other settings. */
function finish(resolved: ResolvedSettings, directory: string, env: NodeJS.ProcessEnv): Config {
  const dataDirectory = resolve(directory, resolved.dataDirectory)
  const runtimeDirectory = resolve(
    directory,
    resolved.runtimeDirectory ?? (env.RUNTIME_DIRECTORY?.split(':')[0] || join(dataDirectory, 'run')),
  )
  const names = Object.keys(resolved.upstreams)
  const only = names.length === 1 ? names[0] : undefined
  const byDomain = (domain: string, upstream: string): RouteConfig => ({ domain, users: null, upstream })
  const routes =
    resolved.routes.length === 0 && only !== undefined
      ? resolved.domains.map((domain) => byDomain(domain, only))
      : [...resolved.routes.filter((route) => route.users), ...resolved.routes.filter((route) => route.domain)]
  return {
    ...resolved,
    dataDirectory,
    runtimeDirectory,
    keys: { file: resolve(dataDirectory, resolved.keys.file) },
    store: finishStore(resolved.store, dataDirectory),
    redis: resolved.redis && finishRedis(resolved.redis),
    listeners: named(resolved.listeners),
    routes,
  }
}

function finishStore({ sqlite, postgres }: ResolvedSettings['store'], dataDirectory: string): StoreConfig {
  if (postgres === undefined) return { sqlite: resolve(dataDirectory, sqlite ?? 'sallyport.db') }
  const { url, username, password } = postgres.url
  return { postgres: { url: url.href, username, password: postgres.password ?? password } }
}

function finishRedis({ urlPassword, ...redis }: RedisSettings): RedisConfig {
  return { ...redis, password: redis.password ?? urlPassword }
}

/** Names by protocol and port, with a number where two are alike (the same port on two addresses). */
function named(listeners: ResolvedSettings['listeners']): readonly ListenerConfig[] {
  const seen = new Map<string, number>()
  return listeners.map((listener) => {
    const base = `${listener.protocol}-${listener.port}`
    const count = (seen.get(base) ?? 0) + 1
    seen.set(base, count)
    return { ...listener, name: count === 1 ? base : `${base}-${count}` }
  })
}

/** A copy in which no URL carries a password. */
function withoutPasswords(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/@\s]*?:)[^@\s]*@/i, '$1[secret]@')
  if (Array.isArray(value)) return value.map(withoutPasswords)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, withoutPasswords(child)]))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
