# Copyright (c) 2026, the mail2fax.m365 authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each mail client is told to sign in with a token: the settings that a person would write, and the command.

A client is run once for each question: it opens the inbox (IMAP, POP) or sends one message (SMTP).
"""

from __future__ import annotations

import base64
import functools
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

USER = "fax@contoso.example"
MESSAGE = f"From: {USER}\r\nTo: someone@contoso.example\r\nSubject: test\r\n\r\ntest\r\n"


@dataclass(frozen=True)
class Place:
    """Where a client is run: a folder of its own, the server, and a token, which also lies in the file ``token``."""

    folder: Path
    protocol: str
    port: int
    ca: Path
    token: str
    user: str = USER

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    @property
    def xoauth2(self) -> str:
        return base64.b64encode(f"user={self.user}\1auth=Bearer {self.token}\1\1".encode()).decode()


@dataclass(frozen=True)
class Run:
    """A command, what it reads from its standard input, and what is added to its environment. ``terminal``: it
    wants one."""

    words: tuple[str, ...]
    stdin: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    terminal: bool = False


@dataclass(frozen=True)
class Client:
    """``version`` is a command that prints it; ``runs`` makes the command for each protocol that it speaks."""

    program: str
    version: tuple[str, ...]
    runs: Mapping[str, Callable[[Place], Run]]
    package: str = ""
    """The Debian, Python or npm package, where the program's own name is not that."""


def msmtp(place: Place) -> Run:
    conf = place.write(
        "msmtprc",
        f"account fax\nhost localhost\nport {place.port}\ntls on\ntls_starttls on\ntls_trust_file {place.ca}\n"
        f"auth xoauth2\nuser {place.user}\nfrom {place.user}\npasswordeval cat {place.folder}/token\n"
        "account default : fax\n",
    )
    return Run(("msmtp", "-C", str(conf), "someone@contoso.example"), MESSAGE)


def mpop(place: Place) -> Run:
    conf = place.write(
        "mpoprc",
        f"account fax\nhost localhost\nport {place.port}\ntls on\ntls_starttls off\ntls_trust_file {place.ca}\n"
        f"auth xoauth2\nuser {place.user}\npasswordeval cat {place.folder}/token\ndelivery mbox {place.folder}/mbox\n"
        f"uidls_file {place.folder}/uidls\naccount default : fax\n",
    )
    return Run(("mpop", "-C", str(conf)))


def curl(place: Place) -> Run:
    paths = {"imap": "imaps://localhost:{}/INBOX", "pop": "pop3s://localhost:{}/", "smtp": "smtp://localhost:{}"}
    url = paths[place.protocol].format(place.port)
    lines = [f'url = "{url}"', f'user = "{place.user}:"', f'oauth2-bearer = "{place.token}"', "ssl-reqd", "silent"]
    lines += [f'cacert = "{place.ca}"', "show-error"]
    if place.protocol == "smtp":
        lines += [f'mail-from = "{place.user}"', 'mail-rcpt = "someone@contoso.example"', 'upload-file = "-"']
    conf = place.write("curlrc", "\n".join(lines) + "\n")
    return Run(("curl", "--max-time", "30", "--config", str(conf)), MESSAGE if place.protocol == "smtp" else "")


def getmail(place: Place) -> Run:
    kind = "SimpleIMAPSSLRetriever" if place.protocol == "imap" else "SimplePOP3SSLRetriever"
    mailboxes = 'mailboxes = ("INBOX",)\n' if place.protocol == "imap" else ""
    (place.folder / "mail").mkdir(exist_ok=True)
    for name in ("cur", "new", "tmp"):
        (place.folder / "mail" / name).mkdir(exist_ok=True)
    place.write(
        "getmailrc",
        f"[retriever]\ntype = {kind}\nserver = localhost\nport = {place.port}\nusername = {place.user}\n{mailboxes}"
        f'use_xoauth2 = True\npassword_command = ("cat", "{place.folder}/token")\nca_certs = {place.ca}\n'
        f"[destination]\ntype = Maildir\npath = {place.folder}/mail/\n[options]\nread_all = false\n",
    )
    return Run(("getmail", "--getmaildir", str(place.folder)))


def imapfilter(place: Place) -> Run:
    conf = place.write(
        "config.lua",
        "options.timeout = 20\n"
        f'fax = IMAP {{ server = "localhost", port = {place.port}, username = "{place.user}", ssl = "auto",\n'
        f'  oauth2 = "{place.xoauth2}" }}\n'
        "messages = fax.INBOX:select_all()\nprint('messages: ' .. #messages)\n",
    )
    return Run(("imapfilter", "-t", str(place.ca), "-c", str(conf)))


def mbsync(place: Place) -> Run:
    (place.folder / "mail").mkdir(exist_ok=True)
    conf = place.write(
        "mbsyncrc",
        f'IMAPAccount fax\nHost localhost\nPort {place.port}\nUser {place.user}\nPassCmd "cat {place.folder}/token"\n'
        f"SSLType IMAPS\nSystemCertificates no\nCertificateFile {place.ca}\nAuthMechs XOAUTH2\n\n"
        f"IMAPStore there\nAccount fax\n\nMaildirStore here\nPath {place.folder}/mail/\n"
        f"Inbox {place.folder}/mail/INBOX\n\n"
        "Channel fax\nFar :there:\nNear :here:\nPatterns INBOX\nSync Pull\nCreate Near\nSyncState *\n",
    )
    return Run(("mbsync", "-c", str(conf), "fax"))


def _mutt(program: str, place: Place) -> Run:
    (place.folder / "Mail").mkdir(exist_ok=True)
    common = f'set ssl_starttls=yes\nset ssl_force_tls=yes\nset realname="Fax"\nset from="{place.user}"\n'
    if program == "mutt":
        common += f'set certificate_file="{place.ca}"\nset ssl_verify_host=yes\n'
    else:
        common += f'set certificate_file="{place.ca}"\n'
    common += f'set ssl_ca_certificates_file="{place.ca}"\nset copy=no\nset sleep_time=0\n'
    if place.protocol == "smtp":
        common += f'set smtp_url="smtp://{place.user}@localhost:{place.port}"\nset smtp_authenticators="xoauth2"\n'
        common += f'set smtp_oauth_refresh_command="cat {place.folder}/token"\n'
        conf = place.write("muttrc", common)
        return Run((program, "-n", "-F", str(conf), "-s", "test", "someone@contoso.example"), "test\n")
    common += f'set imap_user="{place.user}"\nset imap_authenticators="xoauth2"\n'
    common += f'set imap_oauth_refresh_command="cat {place.folder}/token"\nset net_inc=0\nset imap_keepalive=600\n'
    common += 'push "<quit>"\nset quit=yes\nset confirmappend=no\n'
    conf = place.write("muttrc", common)
    words = (program, "-n", "-F", str(conf), "-f", f"imaps://localhost:{place.port}/INBOX")
    return Run(words, terminal=True, environment={"TERM": "vt100"})


def offlineimap(place: Place) -> Run:
    conf = place.write(
        "offlineimaprc",
        "[general]\naccounts = fax\nui = basic\nmetadata = " + str(place.folder / "meta") + "\n"
        "[Account fax]\nlocalrepository = here\nremoterepository = there\n"
        f"[Repository here]\ntype = Maildir\nlocalfolders = {place.folder}/mail\n"
        f"[Repository there]\ntype = IMAP\nremotehost = localhost\nremoteport = {place.port}\n"
        f"remoteuser = {place.user}\n"
        f"ssl = yes\nsslcacertfile = {place.ca}\nauth_mechanisms = XOAUTH2\n"
        f"oauth2_access_token_eval = open('{place.folder}/token').read()\nmaxconnections = 1\nreadonly = true\n"
        "folderfilter = lambda name: name == 'INBOX'\n",
    )
    return Run(("offlineimap", "-c", str(conf), "-1"))


IMAPLIB = """
import imaplib, ssl, sys
host, port, ca, user, path = sys.argv[1:]
token = open(path).read()
with imaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=30) as client:
    client.authenticate("XOAUTH2", lambda _challenge: f"user={user}\\1auth=Bearer {token}\\1\\1".encode())
    print(client.select("INBOX", readonly=True))
"""
SMTPLIB = """
import smtplib, ssl, sys
host, port, ca, user, path = sys.argv[1:]
token = open(path).read()
with smtplib.SMTP(host, int(port), timeout=30) as client:
    client.starttls(context=ssl.create_default_context(cafile=ca))
    client.ehlo()
    print(client.auth("XOAUTH2", lambda challenge=None: f"user={user}\\1auth=Bearer {token}\\1\\1"))
    print(client.sendmail(user, ["someone@contoso.example"], "Subject: test\\r\\n\\r\\ntest"))
"""
POPLIB = """
import base64, poplib, ssl, sys
host, port, ca, user, path = sys.argv[1:]
token = open(path).read()
client = poplib.POP3_SSL(host, int(port), context=ssl.create_default_context(cafile=ca), timeout=30)
client._shortcmd("AUTH XOAUTH2")
print(client._shortcmd(base64.b64encode(f"user={user}\\1auth=Bearer {token}\\1\\1".encode()).decode()))
print(client.stat())
"""
IMAPCLIENT = """
import ssl, sys
import imapclient
host, port, ca, user, path = sys.argv[1:]
with imapclient.IMAPClient(host, int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=30) as client:
    client.oauth2_login(user, open(path).read())
    print(client.select_folder("INBOX", readonly=True))
"""
IMAP_TOOLS = """
import ssl, sys
import imap_tools
host, port, ca, user, path = sys.argv[1:]
with imap_tools.MailBox(host, int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=30).xoauth2(
    user, open(path).read(), "INBOX"
) as mailbox:
    print(list(mailbox.uids()))
"""
AIOIMAPLIB = """
import asyncio, ssl, sys
import aioimaplib
host, port, ca, user, path = sys.argv[1:]
async def main():
    client = aioimaplib.IMAP4_SSL(host, int(port), ssl_context=ssl.create_default_context(cafile=ca), timeout=30)
    await client.wait_hello_from_server()
    print(await client.xoauth2(user, open(path).read()))
    print(await client.select("INBOX"))
    await client.logout()
asyncio.run(main())
"""
NODEMAILER = """
const [host, port, ca, user, path] = process.argv.slice(2);
const fs = require("fs");
const token = fs.readFileSync(path, "utf8");
const transport = require("nodemailer").createTransport({
  host, port: Number(port), secure: false, requireTLS: true, tls: { ca: fs.readFileSync(ca) },
  auth: { type: "OAuth2", user, accessToken: token },
});
transport.sendMail({ from: user, to: "someone@contoso.example", subject: "test", text: "test" })
  .then((sent) => console.log(sent.response))
  .catch(({ name, message, code, responseCode, command }) => {
    console.error(`${name}: ${message} ${JSON.stringify({ code, responseCode, command })}`);
    process.exitCode = 1;
  });
"""
IMAPFLOW = """
const [host, port, ca, user, path] = process.argv.slice(2);
const fs = require("fs");
const { ImapFlow } = require("imapflow");
const client = new ImapFlow({
  host, port: Number(port), secure: true, tls: { ca: fs.readFileSync(ca) }, logger: false,
  auth: { user, accessToken: fs.readFileSync(path, "utf8") },
});
client.on("error", () => {});
(async () => {
  try {
    await client.connect();
    const box = await client.mailboxOpen("INBOX", { readOnly: true });
    console.log(`opened, ${box.exists} messages`);
    await client.logout();
  } catch (error) {
    const { name, message, code, authenticationFailed, responseText } = error;
    console.error(`${name}: ${message} ${JSON.stringify({ code, authenticationFailed, responseText })}`);
    process.exitCode = 1;
    client.close();
  }
})();
"""


# The proxy stands between a client that knows passwords only (Python's own) and the server. Entra is played here.
EMAILPROXY = """
import http.server, imaplib, json, os, pathlib, poplib, smtplib, socket, subprocess, sys, threading, time
host, port, ca, user, path = sys.argv[1:]
here, protocol = pathlib.Path(path).parent, "PROTOCOL"
class Entra(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        text = json.dumps({"token_type": "Bearer", "expires_in": 3599, "access_token": open(path).read()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_words):
        pass
entra = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Entra)
threading.Thread(target=entra.serve_forever, daemon=True).start()
with socket.create_server(("127.0.0.1", 0)) as free:
    local = free.getsockname()[1]
(here / "proxy.config").write_text(f'''[{protocol}-{local}]
local_address = 127.0.0.1
server_address = {host}
server_port = {port}
server_starttls = {protocol == "SMTP"}
[{user}]
token_url = http://127.0.0.1:{entra.server_port}/t/oauth2/v2.0/token
oauth2_scope = https://outlook.office365.com/.default
oauth2_flow = client_credentials
client_id = x
client_secret = y
''')
words = ["emailproxy", "--no-gui", "--config-file", here / "proxy.config", "--log-file", here / "log"]
with subprocess.Popen(words, cwd=here, env={**os.environ, "SSL_CERT_FILE": ca}, stdout=-3, stderr=-3) as proxy:
    try:
        for _attempt in range(100):
            try:
                socket.create_connection(("127.0.0.1", local), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        if protocol == "IMAP":
            client = imaplib.IMAP4("127.0.0.1", local, timeout=20)
            print(client.login(user, "word"), client.select("INBOX", readonly=True))
        elif protocol == "POP":
            client = poplib.POP3("127.0.0.1", local, timeout=20)
            client.user(user)
            print(client.pass_("word"), client.stat())
        else:
            client = smtplib.SMTP("127.0.0.1", local, timeout=20)
            print(client.login(user, "word"), client.sendmail(user, ["someone@contoso.example"], "test"))
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        proxy.terminate()
"""


def script(program: str, ending: str, text: str, place: Place) -> Run:
    path = place.write(f"client.{ending}", text)
    words = (program, str(path), "localhost", str(place.port), str(place.ca), place.user, str(place.folder / "token"))
    return Run(words)


def _python(text: str) -> Callable[[Place], Run]:
    return functools.partial(script, "python3", "py", text)


def _node(text: str) -> Callable[[Place], Run]:
    return functools.partial(script, "node", "js", text)


def _version(package: str) -> tuple[str, ...]:
    return ("python3", "-c", f"import importlib.metadata as m; print(m.version({package!r}))")


def _node_version(package: str) -> tuple[str, ...]:
    return ("node", "-p", f"require({package + '/package.json'!r}).version")


PYTHON = ("python3", "--version")
CLIENTS: dict[str, Client] = {
    "imaplib": Client("python3", PYTHON, {"imap": _python(IMAPLIB)}),
    "poplib": Client("python3", PYTHON, {"pop": _python(POPLIB)}),
    "smtplib": Client("python3", PYTHON, {"smtp": _python(SMTPLIB)}),
    "imapclient": Client("python3", _version("IMAPClient"), {"imap": _python(IMAPCLIENT)}, "IMAPClient"),
    "imap_tools": Client("python3", _version("imap-tools"), {"imap": _python(IMAP_TOOLS)}, "imap-tools"),
    "aioimaplib": Client("python3", _version("aioimaplib"), {"imap": _python(AIOIMAPLIB)}),
    "getmail6": Client("getmail", ("getmail", "--version"), {"imap": getmail, "pop": getmail}, "getmail6"),
    "offlineimap": Client("offlineimap", ("offlineimap", "--version"), {"imap": offlineimap}),
    "emailproxy": Client(
        "emailproxy",
        _version("emailproxy"),
        {name: _python(EMAILPROXY.replace("PROTOCOL", name.upper())) for name in ("imap", "pop", "smtp")},
    ),
    "curl": Client("curl", ("curl", "--version"), {"imap": curl, "pop": curl, "smtp": curl}),
    "msmtp": Client("msmtp", ("msmtp", "--version"), {"smtp": msmtp}),
    "mpop": Client("mpop", ("mpop", "--version"), {"pop": mpop}),
    "mbsync": Client("mbsync", ("mbsync", "--version"), {"imap": mbsync}, "isync, libsasl2-modules-kdexoauth2"),
    "imapfilter": Client("imapfilter", ("imapfilter", "-V"), {"imap": imapfilter}),
    "mutt": Client(
        "mutt", ("mutt", "-v"), {"imap": functools.partial(_mutt, "mutt"), "smtp": functools.partial(_mutt, "mutt")}
    ),
    "neomutt": Client(
        "neomutt",
        ("neomutt", "-v"),
        {"imap": functools.partial(_mutt, "neomutt"), "smtp": functools.partial(_mutt, "neomutt")},
    ),
    "nodemailer": Client("node", _node_version("nodemailer"), {"smtp": _node(NODEMAILER)}),
    "imapflow": Client("node", _node_version("imapflow"), {"imap": _node(IMAPFLOW)}),
}


def installed(client: Client, path: str) -> bool:
    return shutil.which(client.program, path=path) is not None
