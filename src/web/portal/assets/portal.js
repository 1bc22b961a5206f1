/**
 * What the pages do when scripts run: copying, printing, dialogs instead of confirmation pages, passkeys. Nothing here is
 * needed to use the portal, but for passkeys. Texts come with the page, in its language.
 */

document.documentElement.classList.add('js')

const all = (selector, root = document) => root.querySelectorAll(selector)

// A secret that is shown once: copy it, and say so.
for (const button of all('[data-copy]')) {
  const status = button.closest('.secret')?.querySelector('[data-copy-status]')
  button.addEventListener('click', async () => {
    const source = document.getElementById(button.dataset.copy)
    const items = all('li', source)
    const text =
      items.length > 0 ? [...items].map((item) => item.textContent.trim()).join('\n') : source.textContent.trim()
    try {
      await navigator.clipboard.writeText(text)
      status.textContent = `✓ ${button.dataset.copied}`
    } catch {
      status.textContent = button.dataset.failed
      getSelection().selectAllChildren(source)
    }
  })
}

for (const button of all('[data-print]')) button.addEventListener('click', () => print())

// What has just been done is read out, and can be closed without another page.
const note = document.querySelector('[data-note]')
note?.focus({ preventScroll: true })
for (const link of all('[data-dismiss]')) {
  link.addEventListener('click', (event) => {
    event.preventDefault()
    link.closest('[data-note]').remove()
    document.querySelector('h1')?.setAttribute('tabindex', '-1')
    document.querySelector('h1')?.focus()
  })
}

// A link to a confirmation page opens a dialog with the same words instead.
const dialog = document.getElementById('confirm')
if (dialog?.showModal) {
  for (const link of all('a[data-confirm]')) {
    link.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return
      event.preventDefault()
      dialog.querySelector('#confirm-title').textContent = link.dataset.title
      dialog.querySelector('#confirm-text').textContent = link.dataset.text
      dialog.querySelector('#confirm-submit').textContent = link.dataset.submit
      dialog.querySelector('form').action = link.href
      dialog.showModal()
      dialog.querySelector('[data-close]').focus()
    })
  }
  dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close())
}

// Passkeys: ask the server what to ask the device for, and send on what it says as a form like any other.
const webauthn = globalThis.SimpleWebAuthnBrowser
for (const form of all('[data-passkey]')) {
  if (!webauthn?.browserSupportsWebAuthn()) {
    form.hidden = true
    form.parentElement.querySelector('[data-unsupported]').hidden = false
    continue
  }
  const problem = form.querySelector('[data-problem]')
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    problem.textContent = ''
    try {
      const answer = await fetch(form.dataset.begin, { method: 'POST', body: new URLSearchParams(new FormData(form)) })
      const begun = await answer.json()
      if (begun.go) {
        location.assign(begun.go)
        return
      }
      if (begun.problem) {
        problem.textContent = begun.problem
        return
      }
      const response =
        form.dataset.passkey === 'create'
          ? await webauthn.startRegistration({ optionsJSON: begun.options })
          : await webauthn.startAuthentication({ optionsJSON: begun.options })
      form.elements.response.value = JSON.stringify(response)
      form.submit()
    } catch (error) {
      const text = { NotAllowedError: 'cancelled', AbortError: 'cancelled', InvalidStateError: 'exists' }[error.name]
      problem.textContent = form.dataset[text ?? 'failed']
    }
  })
}

// A form that is sent twice by an impatient double click would do its thing twice.
for (const form of all('form[method="post"]:not([data-passkey])')) {
  form.addEventListener('submit', (event) => {
    if (form.dataset.sent) event.preventDefault()
    form.dataset.sent = 'yes'
  })
}
addEventListener('pageshow', () => {
  for (const form of all('form[data-sent]')) delete form.dataset.sent
})
