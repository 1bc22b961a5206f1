/**
 * Thunderbird's autoconfig document, `config-v1.1.xml` (pure).
 *
 * Read by Thunderbird, K-9, FairEmail, Evolution, KMail. The same for everybody of a domain: the client puts the address that
 * its user typed in place of %EMAILADDRESS%.
 *
 * @see https://www.bucksch.org/1/projects/thunderbird/autoconfiguration/config-file-format.html
 */

import type { PublishedPort, PublishedProtocol, PublishedSettings } from '../../contract/published.ts'
import { xmlElement, xmlText } from '../../contract/xml.ts'

const SOCKET_TYPES = { implicit: 'SSL', starttls: 'STARTTLS' } as const

/** The document for one served domain. Clients try the servers in the order of the document. */
export function autoconfigDocument(settings: PublishedSettings, domain: string): string {
  const { ports, name, helpUrl } = settings
  const title = name ?? domain
  const incoming = (protocol: PublishedProtocol) =>
    ports[protocol].map((port) => server('incomingServer', protocol, port, settings.host))
  const help =
    helpUrl === null
      ? []
      : [
          `    <documentation url="${xmlText(helpUrl)}">`,
          '      <descr lang="en">Mail programs need an app password</descr>',
          '      <descr lang="nl">Mailprogramma’s hebben een app-wachtwoord nodig</descr>',
          '    </documentation>',
        ]
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<clientConfig version="1.1">',
    `  <emailProvider id="${xmlText(domain)}">`,
    `    ${xmlElement('domain', domain)}`,
    `    ${xmlElement('displayName', title)}`,
    `    ${xmlElement('displayShortName', title)}`,
    ...incoming('imap'),
    ...incoming('pop3'),
    ...ports.smtp.map((port) => server('outgoingServer', 'smtp', port, settings.host)),
    ...help,
    '  </emailProvider>',
    '</clientConfig>',
    '',
  ].join('\n')
}

/** The password goes through TLS as it is: 'password-cleartext' says LOGIN or PLAIN, not that the line is open. */
function server(element: string, type: PublishedProtocol, { port, tls }: PublishedPort, host: string): string {
  const fields = [
    xmlElement('hostname', host),
    xmlElement('port', port),
    xmlElement('socketType', SOCKET_TYPES[tls]),
    xmlElement('authentication', 'password-cleartext'),
    xmlElement('username', '%EMAILADDRESS%'),
  ]
  return [`    <${element} type="${type}">`, ...fields.map((field) => `      ${field}`), `    </${element}>`].join('\n')
}
