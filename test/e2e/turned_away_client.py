"""What scripts with Python's mail libraries are told when they are turned away. Ports as JSON on standard input."""

import imaplib
import json
import poplib
import smtplib
import sys

ports = json.load(sys.stdin)


def told(connect):
    try:
        connect()
    except Exception as error:
        return "%s: %s" % (type(error).__name__, error)
    return "let in"


print(told(lambda: imaplib.IMAP4("localhost", ports["imap"], timeout=20)))
print(told(lambda: poplib.POP3("localhost", ports["pop3"], timeout=20)))
print(told(lambda: smtplib.SMTP("localhost", ports["smtp"], timeout=20)))
