"""What a search costs while the index grows: over HTTP with its log, by its statements alone, and by which plans.

Citizens are drawn anew for each request, so that nothing is read twice. A reader has one connection and keeps it, as
an overview's server does.
"""

import asyncio
import http.client
import json
import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

from broker.api.overviews import reader_of
from broker.cli.setup import prepare
from broker.domain.agreement import Facts
from broker.domain.identity import EntryKey
from broker.domain.policy import POLICY, Query, Reader
from broker.overviews.grants import authorities, bounds, grants
from broker.overviews.request import SearchRequest
from broker.overviews.search import asked_of
from broker.security import Issuer, read_claims
from broker.settings import Settings, said
from broker.store import facts
from broker.store import search as index
from broker.store.database import connect, conninfo, query
from broker.store.second_line import behind
from ops.bench.filled import AUTHORITIES, SUBJECTS, agree, case_id, citizen_of, join, sender_of, user_key_of
from ops.bench.filling import fill
from ops.bench.weighing import spent
from ops.embedded import instance
from ops.embedded.instance import Instance

OK: Final = 200
SCAN: Final = "Seq Scan"
PREPARED: Final = 20
TTL: Final = 24 * 3600
WARM: Final = 100
MILLI: Final = 1000
PAGE: Final = 4
KEYS: Final = ("authorities", "systems", "case_ids")
AT_ONCE: Final = (1, 4)

Claims = Mapping[str, Any]
Tell = Callable[[str], None]
Sample = tuple[int, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; milliseconds a request. shown: entries an answer, on average.

    cpu: of API and PostgreSQL together, warming up included; it depends less than the clock on what else the machine
    does. None where one request is not all that was done.
    """

    entries: int
    reader: str
    asked: str
    at_once: int
    requests: int
    shown: float
    p50: float
    p99: float
    worst: float
    cpu: float | None = None


@dataclass(slots=True)
class Report:
    """plans: for each size, the way each statement goes over `entry`."""

    fill_seconds: dict[int, float] = field(default_factory=dict)
    http: list[Row] = field(default_factory=list)
    statements: list[Row] = field(default_factory=list)
    plans: dict[int, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def scans(self) -> list[str]:
        """Statements that read the whole of `entry` at some size; there must be none."""
        return sorted({name for ways in self.plans.values() for name, way in ways.items() if SCAN in way})


class TooLargeError(Exception):
    """The index that was kept has more entries than are to be measured."""


def run(data: Path, sizes: Sequence[int], requests: int, tell: Tell = lambda _: None) -> Report:
    """Fill to each size in turn, on a Sagsbro of its own under `data`, and read. Raises TooLargeError."""
    report = Report()
    with instance.held(instance.Plan(data, workers=0, publishers=0), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        filled = _kept(settings)
        for size in sorted(sizes):
            if filled > size:
                raise TooLargeError(f"{filled} entries are there already")
            report.fill_seconds[size] = round(fill(settings, filled, size), 1)
            tell(f"{size} entries, filled in {report.fill_seconds[size]} s")
            filled = size
            measure(running, settings, size, requests, report)
    return report


def _kept(settings: Settings) -> int:
    with connect(settings.dsn, "bench") as connection:
        (entries,) = connection.execute("SELECT count(*) FROM entry").fetchone() or (0,)
    return int(entries)


def ready(where: Mapping[str, str]) -> None:
    """Make an instance with these settings ready: schema, topics, agreements of every authority."""
    settings = said(where)
    prepare(settings)
    agree(settings)


def measure(running: Instance, settings: Settings, entries: int, requests: int, report: Report) -> None:
    """All readers and questions at this size."""
    issuer = Issuer(settings)
    for reader, claims in READERS.items():
        token = issuer.issue(claims, TTL)
        for asked, question in QUESTIONS.items():
            for at_once in AT_ONCE:
                before = _spent(running)
                samples = over_http(settings.api_url, token, question, entries, at_once, requests // at_once)
                if samples:
                    each = (_spent(running) - before) * MILLI / (len(samples) + at_once * warming(requests // at_once))
                    cpu = round(each, 2) if question.page == 1 else None
                    report.http.append(replace(summed(entries, reader, asked, at_once, samples), cpu=cpu))
        report.statements += asyncio.run(statements(settings, entries, reader, claims, requests))
    consent(settings, entries)
    token = issuer.issue(COORDINATOR, TTL)
    for at_once in AT_ONCE:
        samples = over_http(settings.api_url, token, IN_AN_EFFORT, entries, at_once, requests // at_once)
        report.http.append(summed(entries, f"hoi, {CONSENTS} consents", "citizen", at_once, samples))
    with connect(settings.dsn, "bench") as connection:
        report.plans[entries] = plans(connection, entries)


def _spent(running: Instance) -> float:
    seconds = spent(running)
    return seconds["api"] + seconds["postgres"]


def _scope(authority: str, *kle: str) -> dict[str, Any]:
    return {"authority": authority, "kle": list(kle), "sensitivity": "FOELSOMME_PERSONOPLYSNINGER"}


def _employee(*scopes: dict[str, Any]) -> Claims:
    return {"role": "employee", "sub": "bench", "scopes": list(scopes), "client": {"id": "bench"}}


_OTHER_SUBJECTS: Final = tuple(f"15.20.{n:02}" for n in range(40))
_WIDE: Final = [_scope(authority, area) for area in ("27.*", "32.*", "29.*") for authority in AUTHORITIES]
READERS: Final[Mapping[str, Claims]] = {
    "1 grant": _employee(_scope(AUTHORITIES[0], "N*")),
    "200 grants, 1 authority": _employee(*(_scope(AUTHORITIES[0], kle) for kle in (*SUBJECTS, *_OTHER_SUBJECTS))),
    "200 grants, 98 authorities": _employee(*_WIDE[:200]),
}


def _citizen(number: int) -> dict[str, Any]:
    return {"citizen": citizen_of(number)}


def _user_key(number: int) -> dict[str, Any]:
    return {"user_key": user_key_of(number)}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a case's number; of numbers from `entries` on there is nothing. page: the one that is timed.

    among: only so many citizens are asked about, spread evenly.
    """

    ask: Callable[[int], dict[str, Any]]
    there: bool = True
    page: int = 1
    overview: str = "sapa"
    among: int | None = None

    def numbers(self, entries: int, seed: str) -> Iterator[int]:
        """Cases of the authority that every reader may read."""
        chance = random.Random(seed)  # noqa: S311 - reproducible
        while self.among is not None:
            yield consenting_case(chance.randrange(self.among), entries, self.among)
        while True:
            number = chance.randrange(entries) // len(AUTHORITIES) * len(AUTHORITIES)
            yield number if self.there else number + 10 * entries


QUESTIONS: Final[Mapping[str, Question]] = {
    "citizen": Question(_citizen),
    "citizen not there": Question(_citizen, there=False),
    "user key": Question(_user_key),
    "second page": Question(_citizen, page=2),
}


CONSENTING: Final = 200
CONSENTS: Final = 200
COORDINATOR: Final[Claims] = {
    "role": "employee", "sub": "bench", "authorities": [AUTHORITIES[0]], "areas": ["15.2*"], "principal_ids": ["bench"],
    "scopes": [_scope(AUTHORITIES[0], "15.*")],
}  # fmt: skip


def consenting_case(citizen: int, entries: int, among: int) -> int:
    """A case of one of the citizens who have consented."""
    return citizen * max(10, entries // among)


def effort_of(number: int) -> str:
    """The effort for the citizen of a case."""
    return str(uuid.UUID(int=number // 10 + 1))


IN_AN_EFFORT: Final = Question(
    lambda number: {**_citizen(number), "effort_id": effort_of(number), "purpose": "Indsats"},
    overview="hoi",
    among=CONSENTING,
)


def consent(settings: Settings, entries: int) -> None:
    """Let so many citizens have so many consents each, all for one effort and in force.

    Each is for one group of one authority, so that together they open a part of the citizen's cases.
    """
    numbers = [consenting_case(citizen, entries, CONSENTING) for citizen in range(CONSENTING)]
    period = {"valid_from": "2024-01-01T00:00:00+00:00", "signed_at": "2024-01-01T00:00:00+00:00"}
    groups = sorted({subject[:5] for subject in SUBJECTS})
    join(settings, "hoi")
    with connect(settings.dsn, "bench") as connection, connection.transaction():
        connection.execute("TRUNCATE register, citizen_number, citizen, break_glass")
        cursor = connection.cursor()
        columns = "kind, id, citizen_id, authorities, effort_id, body"
        put = f"INSERT INTO register ({columns}) VALUES (%s, %s, %s, '{{}}', %s, %s)".encode()  # noqa: S608 - names alone
        for number in numbers:
            of, effort = uuid.uuid4(), effort_of(number)
            cursor.execute("INSERT INTO citizen VALUES (%s)", [of])
            cursor.execute("INSERT INTO citizen_number VALUES (%s, %s)", [citizen_of(number), of])
            body = {"authority": AUTHORITIES[0], "coordinator": "bench", "members": [], **period}
            cursor.execute(put, ["effort", effort, of, None, Jsonb(body)])
            given = [
                {
                    "purpose": "hoi", "effort_id": effort, "data_areas": [f"{groups[n % len(groups)]}.*"],
                    "data_authorities": [AUTHORITIES[n % len(AUTHORITIES)]], "recipient_areas": ["15.*"],
                    "recipient_authorities": [AUTHORITIES[0]], **period,
                }
                for n in range(CONSENTS)
            ]  # fmt: skip
            cursor.executemany(put, [("consent", uuid.uuid4(), of, effort, Jsonb(one)) for one in given])
    with connect(settings.dsn, "bench") as connection:
        connection.execute("ANALYZE register, citizen_number, citizen")


class Lane:
    """One connection to the API."""

    def __init__(self, address: str, token: str) -> None:
        url = urlsplit(address)
        self._http = http.client.HTTPConnection(str(url.hostname), url.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def close(self) -> None:
        """Let it go."""
        self._http.close()

    def ask(self, body: dict[str, Any], overview: str = "sapa") -> tuple[dict[str, Any], float]:
        """The answer, and the milliseconds from the first byte sent to the last one read."""
        said = json.dumps(body).encode()
        began = time.perf_counter()
        self._http.request("POST", f"/v1/overviews/{overview}/search", said, self._headers)
        answer = self._http.getresponse()
        content = answer.read()
        took = (time.perf_counter() - began) * MILLI
        if answer.status != OK:
            raise RuntimeError(f"the API answered {answer.status}")
        return json.loads(content), took

    def measure(self, question: Question, numbers: Iterator[int], requests: int) -> list[Sample]:
        """So many of them; none where there is no second page."""
        samples = []
        for number in islice(numbers, requests):
            body = question.ask(number)
            if question.page == 1:
                answer, took = self.ask(body, question.overview)
            else:
                first, _ = self.ask({**body, "limit": PAGE})
                if first["next_cursor"] is None:
                    continue
                answer, took = self.ask({**body, "limit": PAGE, "cursor": first["next_cursor"]})
            samples.append((len(answer["entries"]), took))
        return samples


def warming(requests: int) -> int:
    """How many go before those that count."""
    return min(WARM, requests)


def over_http(address: str, token: str, question: Question, entries: int, at_once: int, requests: int) -> list[Sample]:
    """The question from so many lanes at once, each `requests` times, after some that are not counted."""

    def lane(number: int) -> list[Sample]:
        numbers = question.numbers(entries, f"{number}/{question.page}/{question.there}")
        with closing(Lane(address, token)) as client:
            client.measure(question, numbers, warming(requests))
            together.wait()
            return client.measure(question, numbers, requests)

    together = threading.Barrier(at_once)
    with ThreadPoolExecutor(at_once) as lanes:
        return [sample for samples in lanes.map(lane, range(at_once)) for sample in samples]


def summed(entries: int, reader: str, asked: str, at_once: int, samples: list[Sample]) -> Row:
    """Quantiles of at least one sample."""
    took = sorted(milliseconds for _, milliseconds in samples)
    p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
    shown = sum(shown for shown, _ in samples) / len(samples)
    return Row(
        entries, reader, asked, at_once, len(samples), round(shown, 1), round(p50, 2), round(p99, 2), round(took[-1], 2)
    )


@dataclass(frozen=True, slots=True)
class Statements:
    """The two statements that find what is asked for, as a search makes them."""

    connection: psycopg.AsyncConnection[Any]
    known: Facts
    reader: Reader

    async def ask(
        self, body: dict[str, Any], after: index.Position | None, limit: int, *, guarded: bool = True
    ) -> list[index.Found]:
        """Candidates of one page; `guarded`: behind row-level security, as a search finds them."""
        request, at = SearchRequest.model_validate(body), datetime.now(UTC)
        row, wanted = POLICY["sapa"], Query("sapa", self.reader, request.persons)
        asked = asked_of(row, wanted, request)
        async with behind(self.connection, bounds(row, wanted)) if guarded else nullcontext():
            holders = await index.holders(self.connection, asked)
            page = index.candidates(self.connection, asked, grants(row, wanted, self.known, at, holders), after, limit)
            return [found async for found in page]


async def statements(settings: Settings, entries: int, reader: str, claims: Claims, requests: int) -> list[Row]:
    """Each question without HTTP, decisions and log, one at a time."""
    rows = []
    token = read_claims({**claims, "exp": time.time()})
    with connect(settings.dsn, "bench") as connection:
        known = facts.load(connection)
    async with await psycopg.AsyncConnection.connect(conninfo(settings.dsn, "bench"), autocommit=True) as connection:
        work = Statements(connection, known, reader_of(token))
        for asked, question in QUESTIONS.items():
            samples: dict[bool, list[Sample]] = {True: [], False: []}
            warm = warming(requests)
            for n, number in enumerate(islice(question.numbers(entries, asked), warm + requests)):
                body, after = question.ask(number), None
                if question.page > 1:
                    first = await work.ask(body, None, PAGE + 1)
                    if len(first) <= PAGE:
                        continue
                    after = first[PAGE - 1].position
                # In pairs, now the one first and now the other: what else the machine does is done to both.
                for guarded in (n % 2 == 0, n % 2 == 1):
                    began = time.perf_counter()
                    found = await work.ask(body, after, 51, guarded=guarded)
                    if n >= warm:
                        samples[guarded].append((len(found), (time.perf_counter() - began) * MILLI))
            for guarded, name in ((True, asked), (False, f"{asked}, no second line")):
                if samples[guarded]:
                    rows.append(summed(entries, reader, name, 1, samples[guarded]))
    return rows


def plans(connection: psycopg.Connection[Any], entries: int) -> dict[str, list[str]]:
    """How each statement of reading goes over `entry`, once PostgreSQL has prepared it and chosen its plan for good."""
    known, at = facts.load(connection), datetime.now(UTC)
    reader = reader_of(read_claims({**READERS["200 grants, 98 authorities"], "exp": time.time()}))
    number = entries // 2 // len(AUTHORITIES) * len(AUTHORITIES)
    key = EntryKey(*sender_of(number), case_id(number))
    ways = {
        "read_entry": key._asdict(),
        "entry_parties": {name: [value] for name, value in zip(KEYS, key, strict=True)},
        "source_freshness": {
            "authorities": authorities(POLICY["sapa"], Query("sapa", reader), known, at),
        },
    }
    after, of_function = index.Position(0, *key), dict[str, Mapping[str, Any]]()
    for asked, question in QUESTIONS.items():
        request = SearchRequest.model_validate(question.ask(number))
        wanted = Query("sapa", reader, request.persons)
        said_so = asked_of(POLICY["sapa"], wanted, request)
        allowed = grants(POLICY["sapa"], wanted, known, at, AUTHORITIES)
        of_function[asked] = index.named(said_so)
        ways[f"search_entries, {asked}"] = index.parameters(said_so, allowed, after if question.page > 1 else None, 51)
    found = {name: _way(connection, query(name.partition(",")[0]), values) for name, values in ways.items()}
    # What a function does stands in no plan of who calls it.
    inside = _candidates(connection)
    return found | {f"entry_candidates, {asked}": _way(connection, inside, of) for asked, of in of_function.items()}


def _candidates(connection: psycopg.Connection[Any]) -> bytes:
    """The statement inside the function of that name, with parameters as `index.named` has them."""
    (source,) = connection.execute("SELECT prosrc FROM pg_proc WHERE proname = 'entry_candidates'").fetchone() or ("",)
    for argument, value in {
        "primary_parties": "%(primary_parties)s::text[]",
        "other_parties": "%(other_parties)s::text[]",
        "wanted_key": "%(user_key)s::text",
        "unnest(authorities, systems, case_ids)": (
            "unnest(%(authorities)s::text[], %(systems)s::text[], %(case_ids)s::uuid[])"
        ),
    }.items():
        source = source.replace(argument, value)
    return f"-- Inside entry_candidates.\n{source}".encode()


def _way(connection: psycopg.Connection[Any], statement: bytes, values: Mapping[str, Any]) -> list[str]:
    for _ in range(PREPARED):
        connection.execute(statement, values, prepare=True)
    order = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement.decode())))
    head = statement.partition(b"\n")[0].decode()
    found = connection.execute("SELECT name FROM pg_prepared_statements WHERE starts_with(statement, %s)", [head])
    (name,) = found.fetchone() or ("",)
    explain = f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({', '.join(['%s'] * len(order))})"
    with psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
        (plan,) = cursor.execute(explain.encode(), [values[name] for name in order]).fetchone() or ([],)
    return sorted({node for one in plan for node in _nodes(one["Plan"])})


def _nodes(plan: Mapping[str, Any]) -> Iterator[str]:
    if plan.get("Relation Name") == "entry" and plan["Node Type"] != "Bitmap Heap Scan":
        yield SCAN if plan["Node Type"] == SCAN else plan["Index Name"]
    if plan["Node Type"] == "Bitmap Index Scan":
        yield plan["Index Name"]
    for below in plan.get("Plans", ()):
        yield from _nodes(below)
