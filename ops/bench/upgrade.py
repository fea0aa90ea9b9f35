"""The upgrade drill: a next release takes over from this one, process by process, while events flow.

The next release is made of this one: a copy with two migrations more and the statements that go with them. A column is
called otherwise: `pre` adds the new one, `post` drops the old one. Between them both releases work on one database.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from confluent_kafka import Producer

from broker.settings import Settings, said
from broker.stream.clients import confluent_options
from broker.stream.topics import CASE_EVENTS
from ops.bench import faults
from ops.bench.restore import await_read, read, since
from ops.bench.storm import Storm
from ops.embedded import instance
from ops.embedded.instance import Instance
from ops.embedded.ports import free_port
from ops.supervisor import Service

Tell = Callable[[str], None]
ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("broker", "connectors", "consumers", "ops", "schemas")
MOST: Final = 200_000
"""Events that are sent at most: the upgrade must be over before."""
PATIENCE_S: Final = 240.0
ONCE: Final = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random", "linger.ms": 5}
"""A sender that repeats what Kafka did not answer in time, and is heard once."""
NEEDS_OPERATOR: Final = 3
MIGRATIONS: Final = {
    "9000_moved_at.sql": "ALTER TABLE position ADD COLUMN moved_at timestamptz NOT NULL DEFAULT clock_timestamp();\n",
    "9001_moved_at.post.sql": "ALTER TABLE position DROP COLUMN at;\n",
}
CHANGED: Final = ("broker/store/queries/advance_position.sql", "broker/store/positions.py")


@dataclass(slots=True)
class Report:
    """Seconds from the first step to the last; what each release that did not fit answered.

    together_at, ended_at: events read when the new worker had joined, and when the last process of the old release had
    ended. wrong: empty when table, topics and rejections equal what was sent.
    """

    rate: int
    sent: int = 0
    too_early: str = ""
    too_late: str = ""
    out_of_order: str = ""
    together_at: int = 0
    ended_at: int = 0
    seconds: float = 0.0
    digest: str = ""
    wrong: list[str] = field(default_factory=list)


def next_release(to: Path) -> Path:
    """A copy of the running code that calls a column otherwise."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, to / package, ignore=shutil.ignore_patterns("__pycache__", "golden"))
    for name, text in MIGRATIONS.items():
        (to / "broker/store/migrations" / name).write_text(text)
    for name in CHANGED:
        path = to / name
        was = path.read_text()
        path.write_text(was.replace("at = clock_timestamp()", "moved_at = clock_timestamp()"))
        if path.read_text() == was:
            raise LookupError(f"{name} has nothing to be called otherwise")
    return to


def run(data: Path, rate: int, seed: int = 1, tell: Tell = lambda _: None) -> Report:
    """One drill on a machine of its own under `data`, with so many events a second until it is over."""
    report, new, over = Report(rate), next_release(data.parent / "next"), threading.Event()
    plan = instance.Plan(data, workers=2, log=data / "services.log")
    with instance.held(plan, {}) as running, ThreadPoolExecutor(1) as sender:
        running.start(faults.ready)
        settings, storm = said(running.settings), Storm(seed, MOST)
        # Not the folder that it was started in, which may be this release's.
        environment = {**running.settings, "PYTHONPATH": str(new), "PYTHONSAFEPATH": "1"}
        sending = sender.submit(_send, settings, storm, rate, over)
        try:
            await_read(settings, rate)
            began = time.monotonic()
            report.too_early = _refused(environment, report)
            report.out_of_order = _setup(environment, "--post", 1)
            _setup(environment, "--pre")
            tell("`pre` is done; the new release joins")
            _roll(running, environment, settings, report, tell)
            _setup(environment, "--post")
            tell("`post` is done")
            report.too_late = _refused(running.settings, report)
            await_read(settings, report.ended_at + rate)
            report.seconds = since(began)
        finally:
            over.set()
        report.sent = sending.result()
        if report.sent == MOST:
            report.wrong.append("everything had been sent before the upgrade was over: the drill shows nothing")
        checked = faults.Report(seed, report.sent)
        report.wrong += faults.settle(settings)
        report.wrong += faults.check(settings, storm, checked)
        report.digest = checked.digest
    return report


def _send(settings: Settings, storm: Storm, rate: int, over: threading.Event) -> int:
    """Until it is over; returns how many Kafka has."""
    producer = Producer(confluent_options(settings) | ONCE)
    sent, began = 0, time.monotonic()
    for record in storm:
        producer.produce(CASE_EVENTS.name, record.value, record.key)
        producer.poll(0)
        sent += 1
        if over.wait(max(0.0, sent / rate - (time.monotonic() - began))):
            break
    producer.flush()
    return sent


def _roll(running: Instance, environment: Mapping[str, str], settings: Settings, report: Report, tell: Tell) -> None:
    """First the worker, with the others of the old release beside it, then the rest; never none of a kind for long."""
    supervisor = running.supervisor
    _start(running, "new-worker-1", "worker", environment)
    _await_assigned(running, report)
    supervisor.await_restart("worker-1", former=0, timeout=PATIENCE_S)
    supervisor.kill9("worker-1")  # of the old release, on the widened schema: it comes back
    former = read(settings)
    await_read(settings, former + report.rate)
    report.together_at = read(settings)
    tell("both releases read on together")
    supervisor.stop("worker-1")
    _start(running, "new-worker-2", "worker", environment)
    supervisor.stop("worker-2")
    _start(running, "new-publisher-1", "publisher", environment)
    supervisor.stop("publisher-1")
    supervisor.stop("api")
    _start(running, "new-api", "api", environment)
    await_read(settings, report.together_at + 1)
    report.ended_at = read(settings)


def _start(running: Instance, name: str, command: str, environment: Mapping[str, str]) -> None:
    own = {} if command == "api" else {"SAGSBRO_METRICS_PORT": str(free_port())}
    argv = (sys.executable, "-m", "broker.cli", command)
    running.supervisor.start(Service(name, argv, {**environment, **own}, log=running.plan.log))


def _await_assigned(running: Instance, report: Report) -> None:
    """The new worker has partitions: its line in the log says so."""
    deadline, pause, log = time.monotonic() + PATIENCE_S, threading.Event(), running.plan.log
    while time.monotonic() < deadline:
        pid = running.supervisor.pid("new-worker-1")
        lines = [] if log is None else log.read_text(errors="replace").splitlines()
        if any('"event": "assigned"' in line and f'"pid": {pid},' in line for line in lines):
            return
        pause.wait(0.1)
    report.wrong.append("the new worker got nothing to do")


def _refused(environment: Mapping[str, str], report: Report) -> str:
    """What a worker says that must not start there."""
    ran = _ran(environment, "worker")
    if ran.returncode != NEEDS_OPERATOR:
        report.wrong.append(f"a worker that does not fit ended with {ran.returncode}")
    return next((line for line in ran.stderr.splitlines() if "schema_refused" in line), ran.stderr[-300:])


def _setup(environment: Mapping[str, str], phase: str, code: int = 0) -> str:
    ran = _ran(environment, "setup", phase)
    if ran.returncode != code:
        raise RuntimeError(f"setup {phase} ended with {ran.returncode}: {ran.stderr[-300:]}")
    return ran.stderr.strip()


def _ran(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "broker.cli", *arguments),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
