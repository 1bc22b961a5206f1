"""What a script with Python's imaplib does, wrong password first. Settings as JSON on standard input."""

import imaplib
import json
import ssl
import sys

settings = json.load(sys.stdin)
context = ssl.create_default_context(cafile=settings["ca"])
MESSAGE = b"Subject: from imaplib\r\n\r\n.dot\r\n8-bit \xe9\r\n"


def use(name, mail):
    done = []
    try:
        mail.login(settings["user"], '"%s"' % settings["wrong"].replace('"', '\\"'))
    except imaplib.IMAP4.abort as error:
        sys.exit("%s: the connection was lost: %s" % (name, error))
    except imaplib.IMAP4.error:
        done.append("wrong")
    mail.login(settings["user"], settings["password"])
    done.append("right")
    if mail.list()[0] == "OK":
        done.append("list")
    if mail.append("Sent", None, None, MESSAGE)[0] == "OK":
        done.append("append")
    count = int(mail.select("Sent")[1][0])
    body = mail.fetch(str(count), "(BODY.PEEK[])")[1][0][1]
    if body == MESSAGE:
        done.append("fetch")
    mail.logout()
    print("%s: %s" % (name, ", ".join(done)))


use("imaps", imaplib.IMAP4_SSL("localhost", settings["imaps"], ssl_context=context, timeout=20))
plain = imaplib.IMAP4("localhost", settings["imap"], timeout=20)
plain.starttls(context)
use("starttls", plain)
