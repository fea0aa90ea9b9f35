"""Seeded lives of cases in the systems with a smaller share: opened, changed, told late or twice, removed. Pure.

How a case is told is each vendor's own; here is what happens to it. The citizens are those of the case stream of the
same seed, so that a search finds both; see `payloads` for their numbers.
"""

import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from ops.demo.payloads import FIRST, LAST, OPENINGS, STEP, UNITS, citizens
from ops.demo.sample import Form, Sender, Sending
from ops.demo.world import agreements, kle

DENMARK: Final = ZoneInfo("Europe/Copenhagen")
CLOSED: Final = 3
"""The last of the four stages: arisen, informed, decided, closed."""
_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Life:
    """What the municipality knows of one case; `citizen`: ten digits; times in whole seconds."""

    authority: str
    number: int
    identity: str
    kle: str
    citizen: str
    name: str
    title: str
    handler: int
    created: datetime
    changed: datetime
    since: datetime
    stage: int = 0
    version: int = 1
    sent: Any = None

    @property
    def unit(self) -> str:
        """Where the handler works."""
        return UNITS[self.handler % len(UNITS)]


class Wrong(NamedTuple):
    """A case of its own that never comes again, and what is wrong with it.

    spoil: changes the payload. authority, kle: which the case is of, where not any that would be indexed.
    """

    spoil: Callable[[Any, Life], object] | None = None
    authority: str | None = None
    kle: str | None = None
    expect: str = "rejected"


class Vendor(NamedTuple):
    """A system in the demo.

    authorities: whose cases come from it, and in which proportion. numbers: under which KLE numbers they surely are
    indexed. payload, removed: how a case, and its removal as of a time, is told; removed: None where it never is.
    beside: what comes right after a new case, an event of its own; None where nothing does.
    """

    system: str
    label: str
    share: int
    authorities: Mapping[str, int]
    numbers: Callable[[str], Sequence[str]]
    configuration: Mapping[str, Any]
    form: Form
    payload: Callable[[Life], Any]
    removed: Callable[[Life, datetime], Any] | None
    wrong: Sequence[Wrong]
    beside: Callable[[Life], Any] | None = None

    def senders(self) -> list[Sender]:
        """Every municipality's, also of those whose cases are all wrong."""
        named = [*self.authorities, *(one.authority for one in self.wrong if one.authority is not None)]
        return [Sender(self.system, authority) for authority in dict.fromkeys(named)]

    def agreements(self) -> list[dict[str, Any]]:
        """They have agreed to the same of it as of their case system; who has no agreement there has none here."""
        agreed = {one["authority"]: {**one, "system": self.system} for one in agreements()}
        return [agreed[sender.authority] for sender in self.senders() if sender.authority in agreed]


def stream(vendor: Vendor, seed: int, cases: int, events: int, start: datetime) -> Iterator[Sending]:
    """Exactly so many events; `seed` and `cases` name the citizens."""
    lives = _Lives(vendor, random.Random(f"{vendor.system} {seed}"), citizens(seed, cases), start)  # noqa: S311
    waiting: deque[Sending] = deque()
    for _ in range(events):
        lives.now += STEP
        if not waiting:
            waiting.extend(lives.next())
        yield waiting.popleft()


def moment(at: datetime) -> str:
    """ISO 8601 with Denmark's offset, as most systems write it."""
    return at.astimezone(DENMARK).isoformat()


def local(at: datetime) -> datetime:
    """Danish wall-clock time, for systems that name no zone."""
    return at.astimezone(DENMARK).replace(tzinfo=None)


def settled(start: datetime, end: datetime) -> datetime:
    """The end of a stream none of whose times falls in or near the hour that comes twice a year."""
    before, after = ((at + days).astimezone(DENMARK).utcoffset() for at, days in ((start, -_DAY), (end, _DAY)))
    return end if before == after else end - 3 * _DAY


_DAY: Final = timedelta(days=1)


class _Lives:
    def __init__(self, vendor: Vendor, rng: random.Random, people: Sequence[str], start: datetime) -> None:
        self.rng = rng
        self.now = start.astimezone(UTC).replace(microsecond=0)
        self._vendor = vendor
        self._people = people
        self._live: list[Life] = []
        self._numbers = 1000

    def next(self) -> list[Sending]:
        draw = self.rng.random()
        if draw < 0.07:  # noqa: PLR2004 - the share that is wrong
            return [self._wrong()]
        if draw < 0.40 or not self._live:  # noqa: PLR2004
            return self._opened()
        index = self.rng.randrange(len(self._live))
        life = self._live[index]
        if draw < 0.46:  # noqa: PLR2004
            return [self._late(life)]
        if draw < 0.52:  # noqa: PLR2004
            return [self._sending(life, life.sent, "duplicate")]
        if draw < 0.55 and self._vendor.removed is not None:  # noqa: PLR2004
            self._live[index] = self._live[-1]
            self._live.pop()
            gone = self._vendor.removed(life, max(self.now, life.changed) + _SECOND)
            return [self._sending(life, gone, "indexed", None)]
        return [self._changed(life)]

    def _opened(self) -> list[Sending]:
        authority = self.rng.choices(list(self._vendor.authorities), list(self._vendor.authorities.values()))[0]
        life = self._life(authority, self.rng.choice(self._vendor.numbers(authority)))
        self._live.append(life)
        first = [self._told(life)]
        if self._vendor.beside is None:
            return first
        return [*first, self._sending(life, self._vendor.beside(life), "indexed")]

    def _changed(self, life: Life) -> Sending:
        # A little later than anything that was sent at this moment of the stream.
        life.changed = self.now + 3 * _SECOND
        life.version += 1
        if life.stage < CLOSED and self.rng.random() < 0.4:  # noqa: PLR2004
            life.stage += 1
            life.since = life.changed
        else:
            life.handler = self.rng.randrange(40)
        return self._told(life)

    def _told(self, life: Life) -> Sending:
        life.sent = self._vendor.payload(life)
        return self._sending(life, life.sent, "indexed", life.citizen)

    def _late(self, life: Life) -> Sending:
        """What the case looked like a moment before it last changed, never sent until now."""
        before = replace(life, changed=life.changed - _SECOND, since=life.created, stage=0, version=0)
        before.title = f"{life.title} (kladde)"
        return self._sending(life, self._vendor.payload(before), "stale")

    def _wrong(self) -> Sending:
        wrong = self.rng.choice(self._vendor.wrong)
        authority = wrong.authority or self.rng.choice(list(self._vendor.authorities))
        life = self._life(authority, wrong.kle or self._vendor.numbers(authority)[0])
        payload = self._vendor.payload(life)
        if wrong.spoil is not None:
            wrong.spoil(payload, life)
        return self._sending(life, payload, wrong.expect)

    def _sending(self, life: Life, payload: Any, expect: str, citizen: str | None = "") -> Sending:
        """`citizen`: whose case is in the index afterwards; None: it has left; empty: nothing is new."""
        cases = () if citizen == "" else ((life.identity, citizen),)
        return Sending(Sender(self._vendor.system, life.authority), payload, (expect,), cases=cases)

    def _life(self, authority: str, number: str) -> Life:
        self._numbers += 1
        rng = self.rng
        created = self.now - timedelta(seconds=rng.randrange(60, 86_400 * 365))
        return Life(
            authority=authority,
            number=self._numbers,
            identity=str(uuid.UUID(int=rng.getrandbits(128), version=4)),
            kle=number,
            citizen=rng.choice(self._people).replace("-", ""),
            name=f"{rng.choice(FIRST)} {rng.choice(LAST)}",
            title=f"{rng.choice(OPENINGS)} {kle().get(number, 'andet').lower()}",
            handler=rng.randrange(40),
            created=created,
            changed=self.now,
            since=created,
        )
