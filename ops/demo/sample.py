"""What the demo sends, in whichever vendor's words, and what is expected to come of it. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Sender(NamedTuple):
    """One municipality's system."""

    system: str
    authority: str


class Sending(NamedTuple):
    """One piece of a request.

    expect: the status of each event in it, "" where it is not certain. places: how many payloads the intake finds in
    it; those with an event come first. cases: what is in the index afterwards: id -> citizen, None: it has left.
    """

    sender: Sender
    payload: Any
    expect: tuple[str, ...]
    places: int = 1
    cases: tuple[tuple[str, str | None], ...] = ()


class Form(NamedTuple):
    """Where a system's bodies go, and how they are made."""

    path: str
    media_type: str
    body: Callable[[Sequence[Sending]], bytes]
