import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { ADMIN_METHODS } from '../../../src/contract/portal/admin.ts'
import type { PortalServices } from '../../../src/contract/portal.ts'
import { API_ROUTES } from '../../../src/web/api/routes.ts'
import { apiApp, ask, SOME_TOKEN } from './house.ts'

const nobody: PortalServices = {
  call: async (name) => {
    throw new Error(`the keeper was asked for ${name}`)
  },
}

interface Operation {
  readonly operationId: string
  readonly security: readonly { readonly token: readonly string[] }[]
  readonly parameters?: readonly { readonly name?: string; readonly in?: string; readonly required?: boolean }[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { readonly schema: Readonly<Record<string, unknown>> }>>
  }
  readonly responses: Readonly<Record<string, unknown>>
}
interface Document {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> }
}

async function documentOf(t: Parameters<typeof apiApp>[0]) {
  const app = await apiApp(t, nobody)
  const answer = await ask(app, { url: '/api/v1/openapi.json' })
  t.equal(answer.status, 200, 'it takes no token')
  return { app, document: answer.json as unknown as Document }
}

t.test('the document is OpenAPI 3.1, by the schema of that', async (t) => {
  const { document } = await documentOf(t)
  const validator = new Validator()
  const result = await validator.validate({ ...structuredClone(document) })
  t.strictSame(result, { valid: true }, JSON.stringify(result.errors))
  t.equal(validator.version, '3.1')
  t.equal(document.info.version, '1.2.3')
})

t.test('every reference in it leads somewhere, and every operation has a name of its own', async (t) => {
  const { document } = await documentOf(t)
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1] ?? '')
  t.ok(references.length > 20)
  for (const reference of new Set(references)) {
    let at: unknown = document
    for (const part of reference.replace(/^#\//, '').split('/')) at = Object(at)[part] as unknown
    t.ok(at, reference)
  }
  const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
  t.equal(new Set(ids).size, ids.length)
})

t.test('every route is in the document, with its scope, and every operation of the document is a route', async (t) => {
  const { app, document } = await documentOf(t)
  const documented = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((verb) => `${verb.toUpperCase()} ${path}`),
  )
  t.strictSame(documented.toSorted(), API_ROUTES.map(({ verb, path }) => `${verb} ${path}`).sort())
  for (const route of API_ROUTES) {
    const operation = document.paths[route.path]?.[route.verb.toLowerCase()]
    t.strictSame(operation?.security, [{ token: [ADMIN_METHODS[route.service]] }], route.id)
    const method = route.verb
    // A known path and verb asks for a token; anything else would be 404 or 405.
    const answer = await ask(app, { method, url: `/api/v1${route.path.replaceAll(/\{\w+\}/g, 'x')}` })
    t.equal(answer.status, 401, `${route.verb} ${route.path} is served`)
    const named = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1])
    const inPath = operation?.parameters?.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
    t.strictSame(inPath ?? [], named, 'parameters of the path')
  }
})

t.test('bodies are documented as strictly as they are checked', async (t) => {
  const { app, document } = await documentOf(t)
  for (const route of API_ROUTES.filter(({ body }) => body !== null)) {
    const operation = document.paths[route.path]?.[route.verb.toLowerCase()]
    const schema = operation?.requestBody?.content['application/json']?.schema
    t.match(schema, { type: 'object', additionalProperties: false }, route.id)
    const answer = await ask(app, {
      method: route.verb,
      url: `/api/v1${route.path.replaceAll(/\{\w+\}/g, 'x')}`,
      headers: { authorization: `Bearer ${SOME_TOKEN}`, 'content-type': 'application/json' },
      body: '{"surely-unknown":1}',
    })
    t.ok(JSON.stringify(answer.json.errors).includes('#/surely-unknown'), route.id)
  }
})
