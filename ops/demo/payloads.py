"""A seeded stream of constructed SBSYS cases, good and bad, in the order a poller would meet them.

The civil registration numbers belong to nobody: their seventh digit is 5 to 8 and their year 40 to 57, which
together means born 2040 to 2057. The same seed gives the same stream.
"""

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from ops.demo.world import (
    AALBORG,
    AARHUS,
    COPENHAGEN,
    ESBJERG,
    ODENSE,
    RANDERS,
    accepted,
    agreements,
    authorities,
    delimitations,
    kle,
    reader_agreements,
)

__all__ = [
    "FIRST",
    "LAST",
    "OPENINGS",
    "STEP",
    "UNITS",
    "Sample",
    "agreements",
    "authorities",
    "citizens",
    "delimitations",
    "reader_agreements",
    "stream",
]

_COPENHAGEN_TIME: Final = ZoneInfo("Europe/Copenhagen")
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=7)
_STATUSES: Final = ("Opstået", "Oplyst", "Afgjort", "Afsluttet")
OPENINGS: Final = ("Ansøgning om", "Sag om", "Opfølgning på", "Genvurdering af", "Henvendelse om")
FIRST: Final = ("Alma", "Bertil", "Clara", "Ditlev", "Ellen", "Frode", "Gerda", "Holger", "Inger", "Jens")
LAST: Final = ("Testborg", "Prøvesen", "Eksempelgaard", "Mønsterby", "Attrup-Tænkt")
UNITS: Final = ("Visitationen", "Hjemmeplejen Nord", "Jobcentret", "Ydelseskontoret", "Børn og Unge")
_HANDLERS: Final = 40


class Sample(NamedTuple):
    """One payload with who sends it.

    `expect`: its status, where that is certain when each case's payloads arrive in the stream's order; else "".
    """

    authority: str
    payload: dict[str, Any]
    expect: str


@dataclass(slots=True)
class Case:
    """What the municipality knows of one case."""

    authority: str
    number: int
    identity: str
    kle: str
    citizen: str
    name: str
    title: str
    protected: bool
    handler: int
    created: datetime
    changed: datetime
    status: int = 0
    status_since: datetime = _START
    sent: dict[str, Any] | None = None


def citizens(seed: int, cases: int) -> tuple[str, ...]:
    """Those whom the stream of that seed and size is about; about two cases each."""
    rng = random.Random(f"citizens {seed}")  # noqa: S311 - reproducible on purpose
    return tuple(_cpr(rng) for _ in range(cases // 2 + 1))


def stream(seed: int, cases: int, events: int, start: datetime = _START) -> Iterator[Sample]:
    """Exactly `events` payloads about at most `cases` good cases, and some that are no good at all.

    The first was registered at `start`, each next one `STEP` later.
    """
    world = _World(random.Random(seed), citizens(seed, cases), start)  # noqa: S311 - reproducible on purpose
    waiting: deque[Sample] = deque()
    opened = 0
    for emitted in range(events):
        world.now += STEP
        left = events - emitted
        if waiting:
            yield waiting.popleft()
        elif left > cases - opened and world.rng.random() < 0.06:  # noqa: PLR2004 - the share that is wrong
            yield world.wrong()
        elif opened < cases and (not world.live or world.rng.random() < (cases - opened) / left):
            opened += 1
            waiting.extend(world.opened())
            yield waiting.popleft()
        elif world.live:
            waiting.extend(world.next_of_a_case())
            yield waiting.popleft()
        else:
            yield world.wrong()


class _World:
    """The municipalities' cases as they are now."""

    def __init__(self, rng: random.Random, people: tuple[str, ...], start: datetime) -> None:
        self.rng = rng
        self.people = people
        self.now = start
        self.live: list[Case] = []
        self._numbers = 1000

    def opened(self) -> list[Sample]:
        """A new case; one in twenty is heard of late, after its first change."""
        authority = self.rng.choices((AARHUS, ODENSE, COPENHAGEN), (5, 3, 2))[0]
        case = self._case(authority, self.rng.choice(accepted(authority)))
        self.live.append(case)
        first = self._sent(case)
        if self.rng.random() >= 0.05:  # noqa: PLR2004 - the share that comes out of order
            return [first]
        second = self._changed(case)
        return [second, first._replace(expect="stale")]

    def next_of_a_case(self) -> list[Sample]:
        """What happens to a case that is there."""
        index = self.rng.randrange(len(self.live))
        case = self.live[index]
        draw = self.rng.random()
        if draw < 0.05:  # noqa: PLR2004
            return [self._late(case)]
        if draw < 0.10 and case.sent is not None:  # noqa: PLR2004
            return [Sample(case.authority, case.sent, "duplicate")]
        if draw < 0.12 and len(self.live) > 1:  # noqa: PLR2004
            self.live[index] = self.live[-1]
            self.live.pop()
            late = [self._late(case)] if self.rng.random() < 0.3 else []  # noqa: PLR2004
            return [self._removed(case), *late]
        return [self._changed(case)]

    def wrong(self) -> Sample:
        """A case of its own that cannot be indexed; but for the last kind, which is mended and warned of."""
        return self.rng.choice(_WRONG)(self)

    def one(self, authority: str = AARHUS, number: str = "27.36.04") -> tuple[Case, dict[str, Any]]:
        """A new case that never comes again, and its payload."""
        case = self._case(authority, number)
        return case, _payload(case)

    def _case(self, authority: str, number: str) -> Case:
        self._numbers += 1
        rng = self.rng
        created = self.now - timedelta(seconds=rng.randrange(60, 86_400 * 365))
        return Case(
            authority=authority,
            number=self._numbers,
            identity=str(uuid.UUID(int=rng.getrandbits(128), version=4)).upper(),
            kle=number,
            citizen=rng.choice(self.people),
            name=f"{rng.choice(FIRST)} {rng.choice(LAST)}",
            title=f"{rng.choice(OPENINGS)} {kle().get(number, 'andet').lower()}",
            protected=rng.random() < 0.5,  # noqa: PLR2004
            handler=rng.randrange(_HANDLERS),
            created=created,
            changed=self.now,
            status_since=created,
        )

    def _sent(self, case: Case) -> Sample:
        case.sent = _payload(case)
        return Sample(case.authority, case.sent, "indexed")

    def _changed(self, case: Case) -> Sample:
        # A little later than anything that was sent at this moment of the stream.
        case.changed = self.now + timedelta(seconds=3)
        if case.status + 1 < len(_STATUSES) and self.rng.random() < 0.4:  # noqa: PLR2004
            case.status += 1
            case.status_since = case.changed
        else:
            case.handler = self.rng.randrange(_HANDLERS)
        return self._sent(case)

    def _late(self, case: Case) -> Sample:
        """What the case looked like a moment before it last changed, never sent until now."""
        payload = _payload(case)
        payload["SenestAendret"] = _text(case.changed - timedelta(milliseconds=1))
        payload["SagsStatus"] = _status(0)
        payload["SagsTitel"] = f"{case.title} (kladde)"
        return Sample(case.authority, payload, "stale")

    def _removed(self, case: Case) -> Sample:
        at = _text(max(self.now, case.changed) + timedelta(seconds=1))
        payload = {"Id": case.number, "SagIdentity": case.identity, "Slettet": True, "SlettetTidspunkt": at}
        return Sample(case.authority, payload, "indexed")


def _payload(case: Case) -> dict[str, Any]:
    changed = _text(case.changed)
    created = _text(case.created)
    person = {
        "Id": case.number,
        "CprNummer": case.citizen,
        "Navn": case.name,
        "MorCPR": "000000-0000",
        "FarCPR": "000000-0000",
        "Adresse": {"ErBeskyttet": False},
    }
    return {
        "Id": case.number,
        "SagIdentity": case.identity,
        "Nummer": f"{case.kle}-G01-{case.number}-{case.created.year % 100:02}",
        "SagsTitel": case.title,
        "SagsNummer": {
            "EmneplanNummer": {"Nummer": case.kle, "Niveau": 2, "ErUdgaaet": False, "AfloserNumre": []},
            "Facet": {"Nummer": "G01", "Navn": "Generelle sager"},
            "Aarstal": case.created.year,
            "SekvensNummer": case.number,
        },
        "SagsStatus": _status(case.status),
        "PrimaryPart": {
            "PartId": case.number,
            "PartType": "Person",
            "CPRnummer": case.citizen,
            "Navn": case.name,
        },
        "Personer": [person],
        "Firmaer": [],
        "Behandler": {
            "LogonId": f"dmo{case.handler:02}",
            "Uuid": f"00000000-0000-4000-8000-0000000000{case.handler:02}",
            "Navn": f"Sagsbehandler {case.handler}",
        },
        "Ansaettelsessted": {"Id": case.handler % len(UNITS), "Navn": UNITS[case.handler % len(UNITS)]},
        "Opstaaet": created,
        "Oprettet": created,
        "SenestAendret": changed,
        "SenesteStatusAendring": _text(case.status_since),
        "ErBeskyttet": case.protected,
        "SecuritySetId": 7000 + case.handler,
    }


def _status(index: int) -> dict[str, Any]:
    return {
        "Id": index + 6,
        "Navn": _STATUSES[index],
        "Orden": index + 1,
        "SagsTilstand": "Aktiv" if index + 1 < len(_STATUSES) else "Passiv",
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(_COPENHAGEN_TIME).isoformat(timespec="milliseconds")


def _cpr(rng: random.Random) -> str:
    """See the module: nobody's."""
    born = f"{rng.randint(1, 28):02}{rng.randint(1, 12):02}{rng.randint(40, 57)}"
    return f"{born}-{rng.randint(5, 8)}{rng.randrange(1000):03}"


def _with(changes: Callable[[dict[str, Any]], None], authority: str = AARHUS) -> Callable[[_World], Sample]:
    def sample(world: _World) -> Sample:
        case, payload = world.one(authority)
        changes(payload)
        return Sample(case.authority, payload, "rejected")

    return sample


def _of(authority: str, number: str, expect: str = "rejected") -> Callable[[_World], Sample]:
    def sample(world: _World) -> Sample:
        case, payload = world.one(authority, number)
        return Sample(case.authority, payload, expect)

    return sample


def _title_with_cpr(world: _World) -> Sample:
    case, payload = world.one()
    payload["SagsTitel"] = f"{case.citizen} - {case.title}"
    return Sample(case.authority, payload, "indexed")


_WRONG: Final[tuple[Callable[[_World], Sample], ...]] = (
    _of(AARHUS, "27.99.99"),  # kle_unknown
    _of(AARHUS, "27.36.4"),  # kle_malformed
    _of(AARHUS, "82.06.00"),  # outside_agreement: the area
    _of(COPENHAGEN, "27.42.00"),  # outside_agreement: still restricted
    _of(ESBJERG, "27.36.04"),  # outside_agreement: above the ceiling
    _of(AALBORG, "27.36.04"),  # no_agreement
    _of(RANDERS, "27.36.04"),  # suspended
    _of(ODENSE, "02.34.02", "delimited"),
    _with(lambda payload: payload.pop("Nummer")),  # mandatory_missing
    _with(lambda payload: payload.update(SagsStatus={"Id": 99, "Navn": "Sat på pause"})),  # state_unknown
    _with(lambda payload: payload["PrimaryPart"].update(CPRnummer="391345-5001")),  # party_malformed
    _with(lambda payload: payload["PrimaryPart"].update(PartType="Ejendom")),  # party_unknown_type
    _with(lambda payload: payload["SagsNummer"]["Facet"].update(Nummer="g1")),  # facet_unknown
    _with(lambda payload: payload.update(SenestAendret="2199-01-01T00:00:00+01:00")),  # registered_in_future
    _with(lambda payload: payload.update(SenestAendret="i går")),  # schema_violation
    _with(
        lambda payload: payload.update(SagsStatus=_status(1), SenesteStatusAendring="2019-05-01T12:00:00")
    ),  # overlap
    _title_with_cpr,  # indexed, with a warning
)
