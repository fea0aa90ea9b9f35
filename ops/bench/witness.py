"""Who looks on while everything goes wrong: citizens who consent and withdraw, and what search and stream showed.

Each citizen's consent has a history by the asker's own clock: from when a change was asked for to when it was answered
it is not certain what holds, otherwise it is. What was seen is judged by that alone, and the broker is not asked. One
process asks and looks, so one clock.
"""

import asyncio
import json
import math
import random
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from broker.security import Issuer
from broker.settings import Settings
from ops.bench.purge import AREAS, LONG_AGO
from ops.bench.storm import AUTHORITY

OK: Final = 200
TAKEN: Final = 202
BUSY: Final = 429
MILLI: Final = 1000
TTL: Final = 24 * 3600
AGAIN_S: Final = 0.25
BEGIN_S: Final = 60.0
END_S: Final = 240.0
SILENCE_S: Final = 40
"""A stream is heard from every 15 seconds."""
STREAM_S: Final = 5.0
"""A stream decides and then sends: what it sends so long after a withdrawal was answered, it decided after it."""
NEVER: Final = math.inf


@dataclass(slots=True)
class History:
    """One consent after another of one citizen: when each change was asked for and answered, and what it said."""

    changes: list[tuple[float, float, bool]] = field(default_factory=list)

    def asks(self, at: float, *, stands: bool) -> None:
        """A change is under way."""
        self.changes.append((at, NEVER, stands))

    def answered(self, at: float) -> None:
        """The change under way is in force."""
        asked, _, stands = self.changes[-1]
        self.changes[-1] = asked, at, stands

    def stood(self, since: float, until: float) -> bool | None:
        """Whether it stood all the time from `since` to `until`; None where it was being changed then."""
        last = False
        for asked, answered, stands in reversed(self.changes):
            if answered <= since:
                last = stands
                break
            if asked < until:
                return None
        return last

    def last_answer(self, before: float) -> float:
        """When the newest change that was in force before then had been answered."""
        return max((answered for _, answered, _ in self.changes if answered <= before), default=-NEVER)


@dataclass(frozen=True, slots=True)
class Watched:
    """A citizen with a reader of their own; `cases` are the keys of theirs."""

    number: int
    cases: frozenset[str]
    history: History = field(default_factory=History)
    there: set[str] = field(default_factory=set)
    """What the stream has told, and not taken back."""

    @property
    def cpr(self) -> str:
        """Constructed, of a month that the storm has nobody of."""
        return f"{self.number % 28 + 1:02}12{self.number // 28 % 100:02}9999"

    @property
    def effort(self) -> str:
        """Their effort's id."""
        return str(uuid.UUID(int=self.number + 1))

    @property
    def reader(self) -> dict[str, Any]:
        """Claims of who coordinates their effort."""
        name = f"member-{self.number}"
        return {
            "sub": name, "role": "employee", "authorities": [AUTHORITY], "areas": ["15.2*"], "principal_ids": [name],
            "scopes": [{"authority": AUTHORITY, "kle": ["N*"], "sensitivity": "VIP_SAGER"}],
        }  # fmt: skip

    def consent(self, consent_id: str, at: str, **more: Any) -> dict[str, Any]:
        """For every area there is, from `at` on."""
        return {
            "consent_id": consent_id, "citizen": self.cpr, "purpose": "hoi", "effort_id": self.effort,
            "data_areas": AREAS, "data_authorities": [AUTHORITY], "recipient_areas": ["15.*"],
            "recipient_authorities": [AUTHORITY], "asked_by_authority": AUTHORITY,
            "given_by": {"id_type": "CPR", "id": self.cpr, "capacity": "SELF"}, "evidence": {"method": "DIGITAL"},
            "registered_at": at, "signed_at": at, "valid_from": LONG_AGO, **more,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """One kind of search; milliseconds. judged: those asked while it was certain what may be seen."""

    overview: str
    answered: int
    judged: int
    p50: float
    p99: float
    worst: float


@dataclass(slots=True)
class Seen:
    """What was asked and told. refused: answers but 200 and 202, by status; 0 is no answer at all.

    late: milliseconds of entries that a stream sent after the 202 of the withdrawal, having decided before it.
    """

    given: int = 0
    withdrawn: int = 0
    told: Counter[str] = field(default_factory=Counter)
    late: list[float] = field(default_factory=list)
    refused: Counter[int] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=lambda: {"hoi": [], "sapa": []})
    judged: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)

    def searched(self, one: Watched, overview: str, began: float, ended: float, found: frozenset[str]) -> None:
        """Judge one answer. Employees need no consent in sapa; no overview shows anybody else's cases."""
        self.took[overview].append((ended - began) * MILLI)
        stood = True if overview == "sapa" else one.history.stood(began, ended)
        if found - one.cases:
            self.leaks.append(f"{overview} showed {len(found - one.cases)} cases of others")
        if stood is None:
            return
        self.judged[overview] += 1
        if not stood and found:
            after = (began - one.history.last_answer(began)) * MILLI
            self.leaks.append(f"{overview} showed {len(found)} cases to a search {after:.0f} ms after the withdrawal")
        if stood and found != one.cases:
            self.leaks.append(f"{overview} showed {len(found)} of {len(one.cases)} cases")

    def heard(self, one: Watched, at: float, kind: str, key: str) -> None:
        """Judge one event of a stream."""
        self.told[kind] += 1
        if kind == "gone":
            one.there.discard(key)
            return
        one.there.add(key)
        if key not in one.cases:
            self.leaks.append("a stream told of a case of others")
        if one.history.stood(at, at) is False:
            late = at - one.history.last_answer(at)
            self.late.append(round(late * MILLI, 1))
            if late > STREAM_S:
                self.leaks.append(f"a stream told of a case {late:.1f} s after the withdrawal")

    def rows(self) -> list[Asked]:
        """The searches, summed."""
        return [_summed(overview, self.judged[overview], took) for overview, took in self.took.items()]


def _summed(overview: str, judged: int, took: list[float]) -> Asked:
    ordered = sorted(took) or [0.0]
    p50, p99 = (round(ordered[int(len(ordered) * share)], 1) for share in (0.5, 0.99))
    return Asked(overview, len(took), judged, p50, p99, round(ordered[-1], 1))


class Witness:
    """Consents, searches and streams beside a load, until `done` is set; then half of the citizens consent."""

    def __init__(self, settings: Settings, citizens: list[Watched], seed: int, lanes: int = 2) -> None:
        self.seen = Seen()
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self._settings, self._citizens, self._lanes = settings, citizens, lanes
        self._chance = random.Random(seed)  # noqa: S311 - reproducible
        issuer = Issuer(settings)
        self._readers = {one.number: issuer.issue(one.reader, TTL) for one in citizens}
        self._registrar = issuer.issue({"sub": "register", "role": "consent", "authorities": [AUTHORITY]}, TTL)
        self._consented = 0

    async def look_on(self) -> None:
        """All of it; raises what none of them expected."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=self._settings.api_url, timeout=30, limits=limits, trust_env=False
        ) as http:
            for one in self._citizens:
                await self._follow(http, one)
            async with asyncio.TaskGroup() as all_of_it:
                streams = [all_of_it.create_task(self._listen(one)) for one in self._citizens]
                await asyncio.gather(*(self._opened(http, one) for one in self._citizens))
                self.begun.set()
                work = [all_of_it.create_task(self._consent(http, one)) for one in self._citizens]
                work += [all_of_it.create_task(self._search(http)) for _ in range(self._lanes)]
                await asyncio.gather(*work)
                await self._caught_up()
                for stream in streams:
                    stream.cancel()

    def consenting(self) -> frozenset[str]:
        """The cases of whose consent stands at the end."""
        return frozenset().union(*(one.cases for one in self._citizens if one.history.stood(NEVER, NEVER)))

    async def _follow(self, http: httpx.AsyncClient, one: Watched) -> None:
        until = (datetime.now(UTC) + timedelta(hours=20)).isoformat()
        followed = {"overview": "hoi", "citizens": [one.cpr], "purpose": "Måling", "effort_id": one.effort}
        reader = self._readers[one.number]
        await self._until_taken(
            lambda: self._send(http, "PUT", "/v1/subscriptions", reader, {**followed, "until": until})
        )
        effort = {
            "effort_id": one.effort, "citizen": one.cpr, "authority": AUTHORITY, "coordinator": one.reader["sub"],
            "members": [], "valid_from": LONG_AGO, "registered_at": LONG_AGO,
        }  # fmt: skip
        await self._until_taken(lambda: self._send(http, "POST", "/v1/efforts", self._registrar, effort))

    async def _listen(self, one: Watched) -> None:
        """As an overview's app does: whenever the stream ends, go on from the last id."""
        after: dict[str, str] = {}
        headers = {"Authorization": f"Bearer {self._readers[one.number]}"}
        timeout = httpx.Timeout(10, read=SILENCE_S)
        async with httpx.AsyncClient(base_url=self._settings.api_url, timeout=timeout, trust_env=False) as http:
            while True:
                with suppress(httpx.TransportError):
                    async with http.stream("GET", "/v1/overviews/hoi/changes", headers=headers | after) as answer:
                        if answer.is_client_error:
                            self.seen.leaks.append(f"a stream could not go on: {answer.status_code}")
                            return
                        block: dict[str, str] = {}
                        async for line in answer.aiter_lines():
                            name, _, said = line.partition(": ")
                            block[name] = said
                            if line:
                                continue
                            if "event" in block:
                                case = json.loads(block["data"])
                                key = "/".join(case[part] for part in ("authority", "system", "case_id"))
                                self.seen.heard(one, time.monotonic(), block["event"], key)
                            after, block = {"Last-Event-ID": block["id"]}, {}
                await asyncio.sleep(AGAIN_S)

    async def _opened(self, http: httpx.AsyncClient, one: Watched) -> None:
        """A stream tells what comes after it was opened: consent again until it has told of everything."""
        deadline = time.monotonic() + BEGIN_S
        while one.there != one.cases:
            if time.monotonic() > deadline:
                raise TimeoutError("a stream does not tell of the cases")
            consent_id = await self._give(http, one)
            await _within(STREAM_S, lambda: one.there == one.cases)
            await self._withdraw(http, one, consent_id)

    async def _consent(self, http: httpx.AsyncClient, one: Watched) -> None:
        """Give and withdraw; at the end every second one consents."""
        while not self.done.is_set():
            consent_id = await self._give(http, one)
            await self._rest()
            await self._withdraw(http, one, consent_id)
            await self._rest()
        if one.number % 2:
            await self._give(http, one)

    async def _rest(self) -> None:
        """Seconds, or until the end."""
        try:
            async with asyncio.timeout(self._chance.uniform(0.5, 8.0)):
                await self.done.wait()
        except TimeoutError:
            pass

    async def _give(self, http: httpx.AsyncClient, one: Watched) -> str:
        self._consented += 1
        consent_id = str(uuid.UUID(int=(1 << 80) + self._consented))
        await self._change(http, one, one.consent(consent_id, _now()), stands=True)
        self.seen.given += 1
        return consent_id

    async def _withdraw(self, http: httpx.AsyncClient, one: Watched, consent_id: str) -> None:
        at = _now()
        await self._change(http, one, one.consent(consent_id, at, withdrawn_at=at), stands=False)
        self.seen.withdrawn += 1

    async def _change(self, http: httpx.AsyncClient, one: Watched, said: dict[str, Any], *, stands: bool) -> None:
        one.history.asks(time.monotonic(), stands=stands)
        await self._until_taken(lambda: self._send(http, "POST", "/v1/consents", self._registrar, said))
        one.history.answered(time.monotonic())

    async def _search(self, http: httpx.AsyncClient) -> None:
        while not self.done.is_set():
            one, overview = self._chance.choice(self._citizens), self._chance.choice(("hoi", "hoi", "sapa"))
            asked = {"citizen": one.cpr, "purpose": "Måling", "limit": 200}
            if overview == "hoi":
                asked["effort_id"] = one.effort
            began = time.monotonic()
            answer = await self._send(
                http, "POST", f"/v1/overviews/{overview}/search", self._readers[one.number], asked
            )
            if answer is None:
                await asyncio.sleep(AGAIN_S)
                continue
            found = (f"{of['authority']}/{of['system']}/{of['case_id']}" for of in answer.json()["entries"])
            self.seen.searched(one, overview, began, time.monotonic(), frozenset(found))
            await asyncio.sleep(0.02)

    async def _until_taken(self, ask: Callable[[], Awaitable[httpx.Response | None]]) -> None:
        while True:
            if await ask() is not None:
                return
            await asyncio.sleep(AGAIN_S)

    async def _send(
        self, http: httpx.AsyncClient, method: str, path: str, token: str, body: dict[str, Any]
    ) -> httpx.Response | None:
        """None where it may be tried again. Raises httpx.HTTPStatusError where that would not help."""
        try:
            answer = await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        except httpx.TransportError:
            self.seen.refused[0] += 1
            return None
        if answer.status_code in (OK, TAKEN):
            return answer
        self.seen.refused[answer.status_code] += 1
        if answer.is_client_error and answer.status_code != BUSY:
            answer.raise_for_status()
        return None

    async def _caught_up(self) -> None:
        """Wait until every stream has told what stands; how far those are off that have not goes to the leaks."""
        await _within(END_S, lambda: all(one.there == self._should(one) for one in self._citizens))
        off = [len(one.there ^ self._should(one)) for one in self._citizens]
        self.seen.leaks += [f"at the end a stream had told otherwise of {cases} cases" for cases in off if cases]

    @staticmethod
    def _should(one: Watched) -> frozenset[str]:
        return one.cases if one.history.stood(NEVER, NEVER) else frozenset()


async def _within(seconds: float, holds: Callable[[], bool]) -> None:
    """Until it holds, or for so long."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:  # noqa: ASYNC110 - what many streams tell, looked at now and then
        await asyncio.sleep(AGAIN_S)


def _now() -> str:
    return datetime.now(UTC).isoformat()
