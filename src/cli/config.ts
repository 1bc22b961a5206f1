/**
 * `sallyport config …`: the configuration, looked at without starting anything.
 */

import { effectiveConfig, effectiveText, schemaText } from '../config/print.ts'
import { referenceText } from '../config/reference.ts'
import { sampleText } from '../config/sample.ts'
import { ConfigError, problemText } from '../config.ts'
import { judgeCertificates } from './certificates.ts'
import type { Context } from './context.ts'
import { EXIT } from './failure.ts'
import type { Define } from './index.ts'
import { plain, printJson, write } from './output.ts'

export const config: Define = (command, run) => {
  command.description('Check and print the configuration.').addHelpText(
    'after',
    `
Examples:
  sallyport config check --config /etc/sallyport/sallyport.yaml
  sallyport config reference --sample > sallyport.yaml`,
  )

  command
    .command('check')
    .description('Say what is wrong with the configuration, with line and key: exit 0, or 78.')
    .addHelpText('after', '\nWith --json: {"ok","file","problems":[{"file","line","key","message"}],"warnings":[…]}.')
    .action(run((context) => check(context)))

  command
    .command('print')
    .description('Print what is in effect: defaults and the environment’s settings filled in, secrets masked.')
    .action(
      run(async (context) => {
        const loaded = await context.loadConfig()
        if (context.json) await printJson(context.io, effectiveConfig(loaded))
        else await write(context.io, `# ${loaded.file}\n${effectiveText(loaded)}`)
        return undefined
      }),
    )

  command
    .command('schema')
    .description('Print the JSON Schema of the file, for editors.')
    .action(
      run(async (context) => {
        await write(context.io, schemaText())
        return undefined
      }),
    )

  command
    .command('reference')
    .description('Print the reference of all settings (Markdown).')
    .option('--sample', 'print a commented sample file instead')
    .action(
      run<[], { sample?: boolean }>(async (context, _, { sample }) => {
        const text = sample === true ? sampleText() : referenceText()
        if (context.json) await printJson(context.io, { text })
        else await write(context.io, text)
        return undefined
      }),
    )
}

async function check(context: Context): Promise<number> {
  try {
    const loaded = await context.loadConfig()
    const { file, warnings, unavailable } = loaded
    const all = [...warnings, ...unavailable, ...(await judgeCertificates(loaded))]
    if (context.json) await printJson(context.io, { ok: true, file, problems: [], warnings: all })
    else {
      for (const warning of all) await write(context.io, `${plain(`warning: ${problemText(warning)}`)}\n`)
      await write(context.io, `ok: ${file}\n`)
    }
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    if (context.json)
      await printJson(context.io, {
        ok: false,
        file: error.problems[0]?.file ?? null,
        problems: error.problems,
        warnings: [],
      })
    else for (const problem of error.problems) context.warn(problemText(problem))
    return error.denied ? EXIT['not-permitted'] : EXIT.configuration
  }
}
