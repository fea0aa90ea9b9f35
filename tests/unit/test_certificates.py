"""A certificate counts only as a trusted proxy reports it, and only for the sender that the configuration names."""

from typing import Any, cast

import pytest
from fastapi import Request
from pydantic import ValidationError

from broker.api.core import Core
from broker.api.problems import Problem
from broker.api.sf1470 import _identified
from broker.domain.policy import Role
from broker.settings import Certificates, Settings

THUMBPRINT = "ab" * 20
SENDER = {"system": "cura", "authorities": ["55133018"]}


class Parts:
    """As much of a running API as knowing a caller needs."""

    def __init__(self, **certificates: Any) -> None:
        self.settings = Settings(certificates=Certificates(**certificates) if certificates else None)


def parts(**more: Any) -> Core:
    said = {"header": "X-Thumbprint", "proxies": ["10.0.0.1"], "senders": {THUMBPRINT.upper(): SENDER}, **more}
    return cast("Core", Parts(**said))


def called(*thumbprints: str, client: str = "10.0.0.1", header: str = "x-thumbprint") -> Request:
    headers = [(header.encode(), thumbprint.encode()) for thumbprint in thumbprints]
    return Request({"type": "http", "headers": headers, "client": (client, 1)})


@pytest.mark.parametrize("written", [THUMBPRINT, THUMBPRINT.upper(), ":".join(["AB"] * 20), f" {THUMBPRINT} "])
async def test_a_certificate_is_its_sender(written: str) -> None:
    token = await _identified(called(written), parts())

    assert (token.role, token.system, token.authorities) == (Role.VENDOR, "cura", frozenset({"55133018"}))
    assert token.subject == f"certificate:{THUMBPRINT}"


@pytest.mark.parametrize(
    "request_",
    [
        called(THUMBPRINT, client="10.0.0.2"),
        called(THUMBPRINT, THUMBPRINT),
        called(THUMBPRINT, header="x-other"),
        called(THUMBPRINT[:-2]),
        called("cd" * 20),
        called("æ"),
        called(""),
        called(),
    ],
    ids=["another proxy", "said twice", "another header", "half", "unknown", "no hexadecimal", "empty", "none"],
)
async def test_anything_else_is_nobody(request_: Request) -> None:
    with pytest.raises(Problem) as refused:
        await _identified(request_, parts())
    assert refused.value.status_code == 401


async def test_without_configuration_no_certificate_counts() -> None:
    with pytest.raises(Problem) as refused:
        await _identified(called(THUMBPRINT), cast("Core", Parts()))
    assert refused.value.status_code == 401


def test_a_configuration_with_a_word_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValidationError):
        parts(proxy="10.0.0.1")
