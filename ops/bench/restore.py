"""The restore drill: the database is lost under load, comes back from a backup, and reads the log on from there.

The backup is taken while events are read; after it more are read and published, so that the topics are ahead of what
comes back. A second storm begins with the end of the backup and goes on throughout: Kafka stays.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from broker.settings import Settings, said
from broker.store.database import connect
from broker.stream.framing import Decoder
from broker.stream.topics import OVERVIEWS
from ops.bench import faults
from ops.bench.storm import Storm
from ops.embedded import instance, postgres
from ops.embedded.instance import Instance
from ops.embedded.part import Part

Tell = Callable[[str], None]
PACE: Final = 2500
"""Events a second that are sent."""
PATIENCE_S: Final = 240.0
LOOK_S: Final = 0.05


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
