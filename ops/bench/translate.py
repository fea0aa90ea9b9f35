"""How fast each connector turns its vendor's words into events: its golden payloads, again and again, on one core.

Seconds are of processor time, so that others on the machine do not count. Only goldens that become events are taken:
what is refused is cheap. Nothing is sent and nothing stored.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from broker.domain.outcome import Rejected
from broker.intake.connector import Connector, Source, load, names

_AUTHORITY: Final = "55133018"


@dataclass(frozen=True, slots=True)
class Row:
    """One connector. cases: events of one round over the goldens; bytes: of payload for each of them."""

    connector: str
    cases: int
    bytes: int
    cases_per_s: int
    us_per_case: float


@dataclass(frozen=True, slots=True)
class Report:
    """What `bench translate` says."""

    seconds: float
    translate: Sequence[Row]


def run(seconds: float, only: Iterable[str] = (), clock: Callable[[], float] = time.process_time) -> Report:
    """Each connector for so many seconds of processor time; all of them, unless some are named."""
    spoken = [found for name in sorted(set(only) or names()) if (found := load(name)) is not None]
    return Report(seconds, [_row(connector, seconds, clock) for connector in spoken])


def _row(connector: Connector, seconds: float, clock: Callable[[], float]) -> Row:
    source, bodies = _goldens(connector)
    cases, rounds, began = sum(_events(connector, source, body) for body in bodies), 0, clock()
    while (spent := clock() - began) < seconds or not rounds:
        for body in bodies:
            _events(connector, source, body)
        rounds += 1
    each = spent / (rounds * cases)
    return Row(connector.name, cases, sum(map(len, bodies)) // cases, round(1 / each), round(each * 1_000_000, 1))


def _events(connector: Connector, source: Source, body: bytes) -> int:
    """How many come of a body; 0 when anything in it is refused."""
    found = connector.split(body)
    if isinstance(found, Rejected):
        return 0
    events = 0
    for payload in found:
        translated = connector.translate(payload, source)
        if isinstance(translated, Rejected):
            return 0
        events += len(translated)
    return events


def _goldens(connector: Connector) -> tuple[Source, list[bytes]]:
    """The connector's golden payloads that become events, and the configuration that they are made for."""
    (folder,) = Path(str(files("connectors"))).glob(f"*/{connector.name}/golden")
    config = folder.with_name("golden_config.json")
    source = Source(connector.name, _AUTHORITY, json.loads(config.read_bytes()) if config.exists() else {})
    bodies = [path.read_bytes() for path in sorted(folder.iterdir()) if ".expected" not in path.suffixes]
    return source, [body for body in bodies if _events(connector, source, body)]
