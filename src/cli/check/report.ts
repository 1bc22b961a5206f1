/**
 * What `check` finds: a list of steps, each of one hop, in the order they were tried.
 */

export interface Step {
  /** 'configuration', 'store', 'listener imap-993', 'upstream main imap mail.internal:993'. */
  readonly hop: string
  /** 'dns', 'connect', 'tls', 'greeting' … */
  readonly step: string
  readonly ok: boolean
  /** What was seen. Never a secret. */
  readonly detail: string
  /** What it probably means and what to do; null when there is nothing to do. With `ok` it is a warning. */
  readonly advice: string | null
}

/** What one probe says of itself. */
export type Finding = Omit<Step, 'hop' | 'step'>

export const good = (detail: string, advice: string | null = null): Finding => ({ ok: true, detail, advice })
export const bad = (detail: string, advice: string): Finding => ({ ok: false, detail, advice })

/** A step that failed, from deep inside a probe; the steps behind it can't be tried. */
export class StepFailure extends Error {
  readonly finding: Finding
  constructor(detail: string, advice: string) {
    super(detail)
    this.name = 'StepFailure'
    this.finding = bad(detail, advice)
  }
}

/** Collects steps and tells them as they come. */
export class Report {
  readonly steps: Step[] = []
  readonly #tell: (step: Step, isNewHop: boolean) => void

  constructor(tell: (step: Step, isNewHop: boolean) => void) {
    this.#tell = tell
  }

  get ok(): boolean {
    return this.steps.every(({ ok }) => ok)
  }

  add(hop: string, step: string, finding: Finding): void {
    const last = this.steps.at(-1)
    const entry = { hop, step, ...finding }
    this.steps.push(entry)
    this.#tell(entry, last?.hop !== hop)
  }

  /** Runs one step: answers its value, or null when it failed (the failure is in the report). */
  async run<T>(
    hop: string,
    step: string,
    work: () => Promise<{ readonly finding: Finding; readonly value: T }>,
  ): Promise<T | null> {
    try {
      const { finding, value } = await work()
      this.add(hop, step, finding)
      return finding.ok ? value : null
    } catch (error) {
      if (!(error instanceof StepFailure)) throw error
      this.add(hop, step, error.finding)
      return null
    }
  }
}
