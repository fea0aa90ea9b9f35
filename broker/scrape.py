"""The small HTTP server of a process that has none of its own: `/metrics` for Prometheus, and `/healthz`."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

from broker import certificates
from broker.metrics import Process, registry
from broker.settings import Settings

_ALIVE: Final = b'{"status":"alive"}'
Start = Callable[[str, list[tuple[str, str]]], Any]


class _Silent(WSGIRequestHandler):
    """Writes no line for a request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Nothing."""


def serve(settings: Settings, process: Process) -> None:
    """Serve in a thread of its own as long as the process lives, where the settings name a port."""
    if not settings.metrics_port:
        return
    certificates.watch(settings)
    metrics = make_wsgi_app(registry(process))

    def app(environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/metrics":
                counted: Iterable[bytes] = metrics(environ, start)
                return counted
            case "/healthz":
                start("200 OK", [("Content-Type", "application/json")])
                return [_ALIVE]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"only /metrics and /healthz\n"]

    host, port = settings.metrics_host, settings.metrics_port
    server = make_server(host, port, app, ThreadingWSGIServer, _Silent)
    threading.Thread(target=server.serve_forever, daemon=True, name="scrape").start()
