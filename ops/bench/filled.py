"""Filled case events for measuring, as the contract shows them: every group, about 540 bytes. Seeded.

The first pass has as many cases as events. In the second pass nine of ten events are newer registrations of those
cases, the rest are new. Two in a hundred are refused: half by the agreement, half by their KLE number.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Final, NamedTuple

from psycopg.types.json import Jsonb

from broker.domain.case import CaseEvent
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.framing import encode

AUTHORITIES: Final = tuple(str(29_000_000 + n) for n in range(98))
SYSTEMS: Final = ("sbsys", "acadre", "nova")
SUBJECTS: Final = tuple(f"{group}.{n:02}" for group in ("27.36", "27.35", "32.45", "29.18") for n in range(40))
STRANGER: Final = "99999999"
UNKNOWN: Final = "98.98.98"
REFUSED: Final = 0.01
AGAIN: Final = 0.9
DAY: Final = 86_400_000_000
START: Final = 1_700_000_000 * 1_000_000


class Filled(NamedTuple):
    """One record; `taken` says whether it may come in."""

    key: bytes
    value: bytes
    event: CaseEvent
    taken: bool


@dataclass(frozen=True, slots=True)
class Load:
    """`events` a pass."""

    events: int
    seed: int = 1

    def first(self) -> Iterator[Filled]:
        """Into an empty index."""
        chance = random.Random(self.seed)  # noqa: S311 - reproducible
        for n in range(self.events):
            yield _record(chance, n, n)

    def second(self) -> Iterator[Filled]:
        """When most of the cases are there."""
        return islice(self.later(self.events), self.events)

    def later(self, registration: int) -> Iterator[Filled]:
        """The same without end, from a registration on: those before it are older."""
        chance = random.Random(self.seed + registration)  # noqa: S311 - reproducible
        for n in count(registration):
            yield _record(chance, n, chance.randrange(self.events) if chance.random() < AGAIN else n)


def case_id(number: int) -> str:
    """Spread like random ones, the same in every run."""
    digits = hashlib.blake2b(str(number).encode(), digest_size=16).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def sender_of(number: int) -> tuple[str, str]:
    """(authority, system) of a case."""
    return AUTHORITIES[number % len(AUTHORITIES)], SYSTEMS[number // len(AUTHORITIES) % len(SYSTEMS)]


def citizen_of(number: int) -> str:
    """Whose case it is: ten cases a citizen. Constructed."""
    citizen = number // 10
    return f"{citizen % 28 + 1:02}{citizen // 28 % 12 + 1:02}{citizen // 336 % 1_000_000:06}"


def user_key_of(number: int) -> str:
    """What its sender calls a case."""
    return f"27.36.04-G01-{number}-24"


def _record(chance: random.Random, n: int, number: int) -> Filled:
    event, fate = filled(chance, n, number), chance.random()
    if fate < REFUSED:
        event["authority"] = STRANGER
    elif fate < 2 * REFUSED:
        event["classification"] = {"kle": UNKNOWN, "facet": "G01", "local_code": None}
    return Filled(event["case_id"].encode(), encode("case_event", event), event, fate >= 2 * REFUSED)


def filled(chance: random.Random, n: int, number: int) -> CaseEvent:
    """Registration `n`, of case `number`."""
    authority, system = sender_of(number)
    created = START + number % 365 * DAY
    registered = START + 400 * DAY + n * 1_000
    return {
        "event_id": case_id(-n - 1),
        "system": system,
        "authority": authority,
        "case_id": case_id(number),
        "registered_at": registered,
        "sequence": 1,
        "change": "REGISTERED",
        "properties": {
            "user_key": user_key_of(number),
            "title": "Bevilling af hjælpemiddel",
            "legal_basis": "Serviceloven § 112",
            "created_at": created,
            "link": f"https://sager.example/sag/{number}",
            "local_status": "Igangsat",
        },
        "access": {"sensitivity": "FOELSOMME_PERSONOPLYSNINGER", "hidden_from_citizen": chance.random() < 0.1},  # noqa: PLR2004 - one in ten
        "classification": {"kle": chance.choice(SUBJECTS), "facet": "G01", "local_code": None},
        "progress": _all(
            {"state": "OPSTAAET", "effective_from": created, "effective_to": registered},
            {"state": "OPLYST", "effective_from": registered, "effective_to": None},
        ),
        "parties": _all(
            {
                "item_id": "p1", "role": "PRIMARY", "id_type": "CPR", "id": citizen_of(number),
                "effective_from": created, "effective_to": None, "removed": False,
            }
        ),
        "actors": _all(
            {
                "item_id": "a1", "role": "RESPONSIBLE", "id": case_id(number % 1000), "name": "Visitationen",
                "authority": authority, "removed": False,
            }
        ),
        "journal": _all(
            {
                "item_id": "j1", "kind": "DOCUMENT", "document_id": case_id(number + 1_000_000_000),
                "title": "Afgørelse", "registered_at": registered, "removed": False,
            }
        ),
    }  # fmt: skip


def _all(*items: dict[str, Any]) -> Any:
    return {"complete": True, "items": list(items)}


def agree(settings: Settings) -> None:
    """Agreements for every sender, a sapa reader for every authority, one KLE edition."""
    whole = {"state": "FULL", "kle": ["N*"], "sensitivity": "VIP_SAGER", "from_date": "2000-01-01"}
    senders = [(a, s, 1, Jsonb({"authority": a, "system": s, **whole}), "bench") for a in AUTHORITIES for s in SYSTEMS]
    reading = [
        (a, "sapa", "*", 1, Jsonb({"authority": a, "overview": "sapa", "client": "*", **whole}), "bench")
        for a in AUTHORITIES
    ]
    with connect(settings.dsn, "bench") as connection, connection.transaction():
        cursor = connection.cursor()
        cursor.executemany(
            "INSERT INTO sender_agreement (authority, system, version, body, put_by)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            senders,
        )
        cursor.executemany(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            reading,
        )
        cursor.execute("INSERT INTO kle_edition (published) VALUES ('2000-01-01') ON CONFLICT DO NOTHING")
        put = "INSERT INTO kle_subject SELECT '2000-01-01', unnest(%s::text[]), 'emne' ON CONFLICT DO NOTHING"
        cursor.execute(put, [list(SUBJECTS)])
        cursor.execute("UPDATE reference_revision SET revision = revision + 1")


def join(settings: Settings, overview: str) -> None:
    """Every authority joins one more overview."""
    whole = {"client": "*", "state": "FULL", "kle": ["N*"], "sensitivity": "VIP_SAGER", "from_date": "2000-01-01"}
    rows = [(of, overview, Jsonb({"authority": of, "overview": overview, **whole})) for of in AUTHORITIES]
    with connect(settings.dsn, "bench") as connection, connection.transaction():
        connection.cursor().executemany(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, %s, '*', 1, %s, 'bench') ON CONFLICT DO NOTHING",
            rows,
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
