"""Ports on the loopback address."""

import random
import socket
from pathlib import Path

from ops.embedded.errors import EmbeddedError

HOST = "127.0.0.1"
_LOWEST = 20000
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port() -> int:
    """Return a port nobody listens on, and never the same twice: who got it may not listen yet.

    It lies below the range the kernel takes outgoing ports from: a client that knocks at a stopped service's port
    inside that range can be given this very port, connects to itself, and the service cannot come back.
    """
    highest = _first_ephemeral() - 1
    for _ in range(100):
        port = random.randint(_LOWEST, highest)  # noqa: S311 - not a secret
        if port not in _given and is_free(port):
            _given.add(port)
            return port
    message = f"no free port found between {_LOWEST} and {highest}"
    raise EmbeddedError(message)


def claim(port: int, what: str, option: str) -> int:
    """Return the port, a free one for 0.

    Raises:
        EmbeddedError: somebody listens there.

    """
    if port == 0:
        return free_port()
    if not is_free(port):
        message = (
            f"port {port} for {what} is taken; end what listens there, or choose another with {option} (0 = a free one)"
        )
        raise EmbeddedError(message)
    return port


def is_free(port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a just closed connection does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _first_ephemeral() -> int:
    try:
        lowest = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32768
    return lowest if lowest > _LOWEST + 1000 else 65536
