"""What searching, sealing and checking the log of reads costs, at so many rows filled in directly.

Rows are spread over 300 days, 98 authorities, 5 000 readers and 200 000 citizens; one in ten is outside hours.
"""

import asyncio
import http.client
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg

from broker import sealing_key
from broker.cli.setup import prepare
from broker.processing.sealing import Sealer
from broker.processing.verifying import verify
from broker.security import Issuer
from broker.settings import Settings, said
from broker.store import access_log
from broker.store.access_log import Access
from broker.store.database import connect, conninfo
from ops.bench.filled import AUTHORITIES, case_id, citizen_of
from ops.embedded import instance

READERS: Final = 5_000
CITIZENS: Final = 200_000
CHUNK: Final = 250_000
UNSEALED: Final = 50_000
WRITES: Final = 500
DAYS: Final = 300
MILLI: Final = 1000
OK: Final = 200
FILL: Final = """
    INSERT INTO access_log (at, reader, overview, purpose, subject, authorities, decision, basis, cases)
    SELECT %(now)s::timestamptz - interval '1 day' * (%(days)s * (1 - n::float8 / %(rows)s)),
        jsonb_build_object('subject', 'employee-' || n * 7919 %% %(readers)s, 'name', 'Ea Eksempel', 'role', 'employee',
            'client', 'fordel', 'unit', 'Jobcenter', 'authorities', jsonb_build_array(a.cvr)),
        'sapa', 'Sagsbehandling', hmac.of, ARRAY[a.cvr], 'permit', 'official_duty',
        ARRAY[a.cvr || '/sbsys/' || md5(n::text)::uuid]
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
    CROSS JOIN LATERAL (SELECT (%(authorities)s::text[])[1 + n * 7919 %% %(readers)s %% 98] AS cvr) AS a
    CROSS JOIN LATERAL (SELECT sha256(convert_to((n * 104729 %% %(citizens)s)::text, 'UTF8')) AS of) AS hmac
"""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One question, asked anew each time; milliseconds over HTTP, the row that it writes itself included."""

    asked: str
    requests: int
    shown: float
    p50: float
    worst: float


@dataclass(slots=True)
class Report:
    """sealed_per_second, verified_per_second: rows; anchors included. write_ms: one row, committed, at that size."""

    rows: int = 0
    fill_seconds: float = 0
    bytes_per_row: float = 0
    write_ms: float = 0
    searches: list[Row] = field(default_factory=list)
    sealed_per_second: float = 0
    verified_per_second: float = 0
    findings: int = 0

    @property
    def slowest(self) -> float:
        """Milliseconds."""
        return max(row.worst for row in self.searches)


def run(data: Path, rows: int, requests: int, tell: Tell = lambda _: None) -> Report:
    """On a Sagsbro of its own under `data`."""
    report = Report(rows)
    with instance.held(instance.Plan(data, workers=0, publishers=0), {}) as running:
        running.start(lambda where: prepare(said(where)))
        settings = said(running.settings)
        with connect(settings.dsn, "bench") as connection:
            connection.execute("SET transaction_timeout = 0")
            report.fill_seconds = round(fill(connection, rows), 1)
            tell(f"{rows} rows, filled in {report.fill_seconds} s")
            size = connection.execute("SELECT pg_total_relation_size('access_log')").fetchone() or (0,)
            report.bytes_per_row = round(size[0] / rows, 1)
            some = "SELECT DISTINCT encode(subject, 'hex') FROM access_log LIMIT 500"
            refs = [ref for (ref,) in connection.execute(some)]
        token = Issuer(settings).issue({"role": "auditor", "sub": "bench", "authorities": list(AUTHORITIES[:1])}, 86400)
        every = Issuer(settings).issue({"role": "auditor", "sub": "bench", "authorities": list(AUTHORITIES)}, 86400)
        for asked, (bearer, question) in questions(token, every, refs).items():
            report.searches.append(asked_of(settings.api_url, bearer, asked, question, requests))
        report.write_ms = asyncio.run(written(settings))
        seal_and_verify(settings, report)
    return report


async def written(settings: Settings) -> float:
    """The median of what a read waits for its row."""
    reader = {"subject": "bench", "role": "employee", "authorities": [AUTHORITIES[0]]}
    async with await psycopg.AsyncConnection.connect(conninfo(settings.dsn, "bench"), autocommit=True) as connection:
        samples = []
        for number in range(WRITES):
            case = f"{AUTHORITIES[0]}/sbsys/{case_id(number)}"
            access = Access(reader, "sapa", "permit", subject=f"CPR:{citizen_of(number * 10)}", cases=[case])
            began = time.perf_counter()
            await access_log.write(connection, access)
            samples.append((time.perf_counter() - began) * MILLI)
    return round(sorted(samples)[WRITES // 2], 2)


def fill(connection: psycopg.Connection[Any], rows: int) -> float:
    """Returns the seconds it took; indexes are made at the end."""
    began = time.monotonic()
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'access_log' AND indexname <> 'access_log_pkey'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    same = {"rows": rows, "days": DAYS, "readers": READERS, "citizens": CITIZENS, "authorities": list(AUTHORITIES)}
    now = datetime.now(UTC)
    for first in range(1, rows + 1, CHUNK):
        connection.execute(FILL.encode(), {**same, "now": now, "first": first, "last": min(first + CHUNK - 1, rows)})
    for _, definition in indexes:
        connection.execute(definition.encode())
    connection.execute("INSERT INTO access_unsealed SELECT id FROM access_log ORDER BY id DESC LIMIT %s", [UNSEALED])
    connection.execute("VACUUM ANALYZE access_log")
    connection.execute("CHECKPOINT")
    return time.monotonic() - began


Question = Callable[[random.Random], dict[str, Any]]


def questions(one: str, every: str, refs: Sequence[str]) -> Mapping[str, tuple[str, Question]]:
    """By name: whose token, and what is asked."""

    def month(chance: random.Random) -> dict[str, Any]:
        until = datetime.now(UTC) - timedelta(days=chance.randrange(DAYS - 31))
        return {"from": (until - timedelta(days=30)).isoformat(), "to": until.isoformat()}

    return {
        "a reader": (every, lambda chance: {"reader": f"employee-{chance.randrange(READERS)}"}),
        "a reader of another authority": (one, lambda chance: {"reader": f"employee-{98 * chance.randrange(50) + 1}"}),
        "a citizen": (every, lambda chance: {"citizen_ref": chance.choice(refs)}),
        "a citizen by number, never looked up": (one, lambda chance: {"citizen": citizen_of(chance.randrange(10**6))}),
        "a month of one authority": (one, month),
        "a month of all": (every, month),
        "a month of one authority, outside hours": (one, lambda chance: {**month(chance), "outside_hours": True}),
        "a year of one authority, outside hours": (one, lambda _: {"outside_hours": True}),
        "repeated in a month of one authority": (one, lambda chance: {**month(chance), "repeated": 2}),
        "repeated in a month of all": (every, lambda chance: {**month(chance), "repeated": 2}),
        "repeated by a reader": (
            every,
            lambda chance: {**month(chance), "repeated": 2, "reader": f"employee-{chance.randrange(READERS)}"},
        ),
    }


def asked_of(address: str, token: str, asked: str, question: Question, requests: int) -> Row:
    """The question so many times; the first is not counted."""
    chance, url = random.Random(asked), urlsplit(address)  # noqa: S311 - reproducible
    client = http.client.HTTPConnection(str(url.hostname), url.port, timeout=120)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    samples = []
    for _ in range(requests + 1):
        body = json.dumps(question(chance)).encode()
        began = time.perf_counter()
        client.request("POST", "/v1/access-log/search", body, headers)
        answer = client.getresponse()
        said_back = json.loads(answer.read())
        took = (time.perf_counter() - began) * MILLI
        if answer.status != OK:
            raise RuntimeError(f"the API answered {answer.status}")
        samples.append((len(said_back.get("entries") or said_back.get("repeated") or ()), took))
    client.close()
    times = sorted(took for _, took in samples[1:])
    shown = sum(number for number, _ in samples[1:]) / requests
    return Row(asked, requests, round(shown, 1), round(times[len(times) // 2], 1), round(times[-1], 1))


def seal_and_verify(settings: Settings, report: Report) -> None:
    """All that waits."""
    if settings.seal_key is None:
        raise RuntimeError("the instance made no key")
    with connect(settings.dsn, "bench") as connection:
        (waiting,) = connection.execute("SELECT count(*) FROM access_unsealed").fetchone() or (0,)
        sealer = Sealer(settings, connection, sealing_key.load(settings.seal_key))
        began = time.monotonic()
        while sealer.step():
            pass
        report.sealed_per_second = round(waiting / (time.monotonic() - began))
        sealer.settle(30)
        # What was filled in and is not among the newest stands in no segment: it is not what is measured.
        connection.execute("SET transaction_timeout = 0")
        connection.execute("DELETE FROM access_log WHERE id <= (SELECT max(id) - %s FROM access_log)", [waiting])
    began = time.monotonic()
    checked = verify(settings)
    report.verified_per_second = round(checked.rows / (time.monotonic() - began))
    report.findings = len(checked.findings)
