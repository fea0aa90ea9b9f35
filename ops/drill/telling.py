"""Whom Alertmanager tells: a mailbox for every address and a webhook, on the loopback address."""

import json
import re
import socketserver
import threading
import time
from email import message_from_bytes
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, NamedTuple

from ops.embedded.ports import HOST, free_port

WEBHOOK: Final = "webhook"
_ALERT: Final = re.compile(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b")
_TO: Final = re.compile(rb"<([^>]*)>")


class Told(NamedTuple):
    """Of one message: when (monotonic), to whom (an address, or the webhook), whether it is over, and which alerts."""

    at: float
    to: str
    resolved: bool
    alerts: frozenset[str]


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as Alertmanager speaks."""

    told: list[Told]

    def handle(self) -> None:
        """One connection."""
        self._say("220 drill")
        to: list[str] = []
        for line in self.rfile:
            match line[:4].upper().strip():
                case b"QUIT":
                    self._say("221 bye")
                    return
                case b"RCPT":
                    to += [found.decode() for found in _TO.findall(line)]
                case b"DATA":
                    self._say("354 go on")
                    self.told += mail(to, b"".join(iter(self.rfile.readline, b".\r\n")))
                    to = []
            self._say("250 well")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class _Calls(BaseHTTPRequestHandler):
    told: list[Told]

    def do_POST(self) -> None:
        """One message."""
        self.told.append(call(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


class Receivers:
    """Both; `told` grows."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        own = {"told": self.told}
        self._mail = socketserver.ThreadingTCPServer((HOST, free_port()), type("Mail", (_Mail,), own))
        self._calls = ThreadingHTTPServer((HOST, free_port()), type("Calls", (_Calls,), own))
        for server in (self._mail, self._calls):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    @property
    def smarthost(self) -> str:
        """Where mail goes."""
        return f"{HOST}:{self._mail.server_address[1]}"

    @property
    def webhook(self) -> str:
        """Where calls go."""
        return f"http://{HOST}:{self._calls.server_address[1]}/"

    def close(self) -> None:
        """Listen no more."""
        for server in (self._mail, self._calls):
            server.shutdown()
            server.server_close()


def mail(to: list[str], content: bytes) -> list[Told]:
    """One for each address; what it is about stands in the subject."""
    subject = str(make_header(decode_header(message_from_bytes(content)["Subject"] or "")))
    alerts = frozenset(_ALERT.findall(subject))
    return [Told(time.monotonic(), address, "[RESOLVED]" in subject, alerts) for address in to]


def call(content: bytes) -> Told:
    """Alertmanager's JSON."""
    said = json.loads(content)
    alerts = frozenset(alert["labels"]["alertname"] for alert in said["alerts"])
    return Told(time.monotonic(), WEBHOOK, said["status"] == "resolved", alerts)
