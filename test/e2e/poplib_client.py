"""What a script with Python's poplib does, wrong password first. Settings as JSON on standard input."""

import json
import poplib
import ssl
import sys

settings = json.load(sys.stdin)
context = ssl.create_default_context(cafile=settings["ca"])


def use(name, mail):
    done = []
    try:
        mail.user(settings["user"])
        mail.pass_(settings["wrong"])
    except poplib.error_proto as error:
        done.append(error.args[0].decode().split("]")[0] + "]")
    mail.user(settings["user"])
    mail.pass_(settings["password"])
    done.append("right")
    if "UIDL" in mail.capa():
        done.append("capa")
    if mail.stat()[0] > 0 and len(mail.uidl()[1]) == mail.stat()[0]:
        done.append("uidl")
    if mail.top(1, 0)[1] == mail.retr(1)[1][: len(mail.top(1, 0)[1])]:
        done.append("top")
    mail.quit()
    print("%s: %s" % (name, ", ".join(done)))


use("pop3s", poplib.POP3_SSL("localhost", settings["pop3s"], context=context, timeout=20))
plain = poplib.POP3("localhost", settings["pop3"], timeout=20)
plain.stls(context)
use("stls", plain)
