"""The restore drills: the database is lost, or the log is.

The database comes back from a backup and reads the log on from there. The backup is taken while events are read; after
it more are read and published, so that the topics are ahead of what comes back. A second storm begins with the end of
the backup and goes on throughout: Kafka stays.

The log is lost with everything in it, events that nobody has read among them. A new one takes its place, positions
adopt it, everything is published again, and the source's list says what has to be asked of it once more.
"""

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from broker.cli.setup import prepare
from broker.domain.case import CaseEvent
from broker.security import Issuer
from broker.settings import Settings, said
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs, partitions_of
from broker.stream.framing import Decoder
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench import faults, load
from ops.bench.storm import Storm
from ops.embedded import instance, kafka, postgres
from ops.embedded.instance import Instance
from ops.embedded.part import Part

Tell = Callable[[str], None]
PACE: Final = 2500
"""Events a second that are sent."""
PATIENCE_S: Final = 240.0
LOOK_S: Final = 0.05
DIFFERS: Final = 3


@dataclass(slots=True)
class Report:
    """Seconds of each step; `read_*`: events read by then. topic_ahead: entries whose topic knew more than the table.

    wrong: empty when table, topics and rejections equal what was sent.
    """

    events: int
    backup_seconds: float = 0.0
    backup_mb: int = 0
    restore_seconds: float = 0.0
    catch_up_seconds: float = 0.0
    read_at_loss: int = 0
    read_after_restore: int = 0
    topic_ahead: int = 0
    digest: str = ""
    wrong: list[str] = field(default_factory=list)


def run(data: Path, events: int, seed: int = 1, tell: Tell = lambda _: None) -> Report:
    """One drill on a machine of its own under `data`."""
    report = Report(events)
    with instance.held(instance.Plan(data), {}) as running, ThreadPoolExecutor(1) as sender:
        running.start(faults.ready)
        settings, part = said(running.settings), embedded(running)
        storm, later = Storm(seed, events * 2 // 5), Storm(seed + 1, events - events * 2 // 5)
        sending = sender.submit(send, settings, storm)
        await_read(settings, events // 10)
        began = time.monotonic()
        postgres.back_up(part, data / "backup")
        report.backup_seconds = since(began)
        report.backup_mb = sum(file.stat().st_size for file in (data / "backup").rglob("*") if file.is_file()) >> 20
        tell(f"backup of {report.backup_mb} MB in {report.backup_seconds} s")
        sent = sending.result()
        # Nothing of this is in the backup.
        sending = sender.submit(send, settings, later)
        await_read(settings, events * 3 // 5)
        lose_and_restore(running, settings, part, report)
        tell(f"lost at {report.read_at_loss}, back at {report.read_after_restore} in {report.restore_seconds} s")
        began = time.monotonic()
        start_again(running)
        sent += sending.result()
        report.wrong += faults.settle(settings)
        report.catch_up_seconds = since(began)
        checked = faults.Report(seed, sent)
        storm.sent += later.sent
        storm.rejected += later.rejected
        report.wrong += faults.check(settings, storm, checked)
        report.digest = checked.digest
    if report.read_after_restore >= report.read_at_loss:
        report.wrong.append("nothing was lost: the drill shows nothing")
    return report


@dataclass(slots=True)
class LogLost:
    """Seconds of each step. unread: events that only the lost log had; missing, older: what the source's list showed.

    wrong: empty when the list shows no difference any more, and table and topic are what the source registered.
    """

    events: int
    unread: int = 0
    new_log_seconds: float = 0.0
    adopt_seconds: float = 0.0
    published_again: int = 0
    published_seconds: float = 0.0
    missing: int = 0
    older: int = 0
    superfluous: int = 0
    asked_again_seconds: float = 0.0
    seconds: float = 0.0
    digest: str = ""
    wrong: list[str] = field(default_factory=list)


def run_log_lost(data: Path, events: int, seed: int = 1, tell: Tell = lambda _: None) -> LogLost:
    """The other drill on a machine of its own under `data`."""
    report, scale = LogLost(events), load.Scale(events // 2, events // 2, 0, None, seed)
    world, told = load.World(scale), load.Report()
    with instance.held(instance.Plan(data, log=data / "services.log"), {}) as running:
        running.start(load.ready)
        settings = said(running.settings)
        stage = load.Stage(running, data, scale, told, tell)
        stage.send([*world.stock, *world.first])
        stage.settled()
        running.supervisor.stop(*(n for n in running.supervisor.names if n.startswith(("worker", "publisher"))))
        stage.send(world.second)  # answered, and read by nobody
        client = admin(confluent_options(settings))
        ends = logs(client, CASE_EVENTS.name, partitions_of(client, CASE_EVENTS.name))
        report.unread = sum(log.end for log in ends.values()) - read(settings)
        began = time.monotonic()
        _new_log(running, settings)
        report.new_log_seconds = since(began)
        tell(f"the log is lost with {report.unread} events unread; a new one is there")
        step = time.monotonic()
        _adopt(stage, report)
        report.adopt_seconds, report.published_again = since(step), _marked(settings)
        step = time.monotonic()
        for kind in ("worker", "publisher"):
            running.add(kind)
        stage.settled()
        report.published_seconds = since(step)
        tell("adopted and published; the source is asked")
        step = time.monotonic()
        everything = [*world.stock, *world.first, *world.second]
        _ask_again(settings, stage, load.current(everything), report)
        report.asked_again_seconds, report.seconds = since(step), since(began)
        stage.equal(everything, "after the log was lost")
        with connect(settings.dsn, "restore") as connection:
            report.wrong += faults.topic_equals_table(settings, connection)
        report.wrong += told.wrong
        report.digest = told.digest
    if not report.unread or not report.missing + report.older:
        report.wrong.append("nothing was lost: the drill shows nothing")
    return report


def _new_log(running: Instance, settings: Settings) -> None:
    """Kafka at the same address, with nothing in it but topics that were made anew."""
    lost = running.kafka
    if lost is None:
        raise LookupError("the log is not ours")
    lost.kill()
    shutil.rmtree(kafka.Layout(running.plan.data).logs)
    running.kafka = kafka.launch(running.plan.data, lost.port, running.supervisor)
    running.kafka.wait_ready()
    prepare(settings)
    # It remembers the topics of before.
    running.supervisor.kill9("api")


def _adopt(stage: load.Stage, report: LogLost) -> None:
    """By the commands that an operator has."""
    if _ran(stage.command("positions", "show")) != DIFFERS:
        report.wrong.append("positions of a log that is gone are taken for good")
    code = _ran([part for part in stage.command("positions", "adopt", "--yes") if part != "--json"])
    if code:
        report.wrong.append(f"`positions adopt` ended with {code}")


def _ran(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def _marked(settings: Settings) -> int:
    with connect(settings.dsn, "restore") as connection:
        row = connection.execute("SELECT count(*) FROM dirty").fetchone()
    return 0 if row is None else int(row[0])


def _ask_again(settings: Settings, stage: load.Stage, stands: list[CaseEvent], report: LogLost) -> None:
    """What the list shows as missing or older is sent again by the source, what it has no more is removed."""
    compared = stage.compare(stands, "--repair", "--remove-many")
    report.missing, report.older, report.superfluous = (
        compared[kind]["count"] for kind in ("missing", "older", "superfluous")
    )
    wanted = {case_id for kind in ("missing", "older") for case_id in _listed(settings, compared, kind)}
    stage.send([event for event in stands if event["case_id"] in wanted])
    stage.settled()


def _listed(settings: Settings, compared: dict[str, Any], kind: str) -> Iterator[str]:
    """As the vendor reads it: page by page."""
    claims = {"sub": "drill", "role": "vendor", "system": load.SYSTEM, "authorities": [load.AUTHORITY]}
    headers = {"Authorization": f"Bearer {Issuer(settings).issue(claims, 3600)}"}
    with httpx.Client(base_url=settings.api_url, headers=headers, timeout=60, trust_env=False) as client:
        asked: dict[str, str] | None = {}
        while asked is not None:
            answer = client.get(f"/v1/reconcile/{compared['reconciliation_id']}/{kind}", params=asked)
            page = answer.raise_for_status().json()
            yield from (case["case_id"] for case in page["cases"])
            asked = None if page["next"] is None else {"after": page["next"]}


def send(settings: Settings, storm: Storm) -> int:
    """At the pace; returns how many."""
    return asyncio.run(faults.send(settings, storm, storm.events / PACE))


def lose_and_restore(running: Instance, settings: Settings, part: Part, report: Report) -> None:
    """Stop who uses the database, lose it, and put the backup in its place."""
    running.supervisor.stop(*(n for n in running.supervisor.names if n.startswith(("worker", "publisher"))))
    report.read_at_loss = read(settings)
    part.kill()
    began = time.monotonic()
    postgres.restore(running.plan.data, running.plan.data / "backup")
    part.restart()
    report.restore_seconds = since(began)
    report.read_after_restore = read(settings)
    report.topic_ahead = ahead(settings)


def start_again(running: Instance) -> None:
    """Every process anew: none may remember reference data of after the backup."""
    running.supervisor.kill9("api")
    running.add("worker")
    running.add("publisher")


def ahead(settings: Settings) -> int:
    """How many entries the sapa topic has in a revision that the table has not come to."""
    decoder = Decoder("overview_entry", lambda _: None)
    with connect(settings.dsn, "restore") as connection:
        rows = connection.execute("SELECT authority, system, case_id::text, revision FROM entry")
        held = {"/".join(key): revision for *key, revision in rows}
    topic = faults.folded(settings, OVERVIEWS["sapa"].name)
    return sum(
        value is not None and decoder.decode(value)["revision"] > held.get(key, 0) for key, value in topic.items()
    )


def read(settings: Settings) -> int:
    """How many events have been read, of all partitions."""
    with connect(settings.dsn, "restore") as connection:
        row = connection.execute("SELECT coalesce(sum(next_offset), 0) FROM position").fetchone()
    return 0 if row is None else int(row[0])


def await_read(settings: Settings, number: int) -> None:
    """Raises TimeoutError."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while read(settings) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{number} events are not read")
        pause.wait(LOOK_S)


def embedded(running: Instance) -> Part:
    """The database that can be lost."""
    if running.postgres is None:
        raise LookupError("the database is not ours")
    return running.postgres


def since(began: float) -> float:
    """Seconds."""
    return round(time.monotonic() - began, 1)
