"""What is broken, which alert is to say so, and how it is undone."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import psycopg

from broker.processing import reverifying, sealing
from broker.store.database import connect
from ops.bench.filled import sender_of
from ops.drill.load import SOURCES
from ops.drill.site import GOOD_DAYS, PLENTY, Site, certificate
from ops.embedded.part import Part

AS_IT_IS: Final = 1
HOURS: Final = 120
WEEKS: Final = 1200
REFUSED: Final = 60
LATE_S: Final = 20
PATIENCE_S: Final = 300
SILENT: Final = sender_of(SOURCES[0])
BAD: Final = sender_of(SOURCES[-1])
Undo = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Fault:
    """One of them.

    after: it is broken no earlier than so many seconds after the beginning. patient: its end is not waited for.
    """

    name: str
    alert: str
    broken: Callable[[Site], Undo]
    factor: int = AS_IT_IS
    labels: Mapping[str, str] = field(default_factory=dict)
    after: float = 0
    patient: bool = False


def stopped(name: str) -> Callable[[Site], Undo]:
    """A service that does not run."""

    def broken(site: Site) -> Undo:
        site.supervisor.stop(name)
        return lambda: site.supervisor.resume(name)

    return broken


def one_of_two(site: Site) -> Undo:
    """A second worker joins, and is gone."""
    return stopped(site.running.add("worker"))(site)


def away(part: Callable[[Site], Part | None]) -> Callable[[Site], Undo]:
    """Kafka or PostgreSQL."""

    def broken(site: Site) -> Undo:
        found = part(site)
        assert found is not None  # noqa: S101 - the drill's own
        found.stop()

        def undo() -> None:
            site.supervisor.resume(found.name)
            found.wait_ready(PATIENCE_S)

        return undo

    return broken


def nothing() -> None:
    """It ends by itself."""


def certificate_near(site: Site) -> Undo:
    """The file that the processes were told of ends in two days."""
    certificate(site.certificate, 2)
    return lambda: certificate(site.certificate, GOOD_DAYS)


def disk_full(site: Site) -> Undo:
    """Four in a hundred free, by a node exporter's textfile: simulated."""
    site.disk(0.04)
    return lambda: site.disk(PLENTY)


def row_changed(site: Site) -> Undo:
    """Whoever owns the database changes the purpose of a read that is sealed."""
    site.read()
    with connect(site.settings.dsn, "drill") as owner:
        while owner.execute("SELECT count(*) FROM access_unsealed").fetchone() != (0,):
            threading.Event().wait(0.1)
        changed = owner.execute(
            "UPDATE access_log SET purpose = 'andet' WHERE id = (SELECT max(id) FROM access_log) RETURNING id"
        ).fetchone()

    def undo() -> None:
        with connect(site.settings.dsn, "drill") as owner:
            owner.execute("UPDATE access_log SET purpose = 'Øvelse' WHERE id = %s", changed)

    return undo


def locked(lock: int) -> Callable[[Site], Undo]:
    """Whoever owns the database ends the session of whoever holds this lock, and keeps it."""

    def broken(site: Site) -> Undo:
        owner = connect(site.settings.dsn, "drill")
        holders = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s"
        owner.execute(holders, [lock])
        while owner.execute("SELECT pg_try_advisory_lock(%s)", [lock]).fetchone() != (True,):
            owner.execute(holders, [lock])
        site.read()
        return owner.close

    return broken


def purge_late(site: Site) -> Undo:
    """A consent is withdrawn while the publisher hangs, which goes on after twenty seconds."""
    pid = site.supervisor.signal("publisher-1", signal.SIGSTOP)
    site.withdraw()
    threading.Event().wait(LATE_S)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)
    return nothing


def vendor_silent(site: Site) -> Undo:
    """One of the six sources sends nothing."""
    site.load.silent.add(SILENT)
    return site.load.silent.clear


def unknown_numbers(site: Site) -> Undo:
    """A vendor sends a number that is in no edition."""
    site.load.unknown_numbers(REFUSED)
    return nothing


def poison(site: Site) -> Undo:
    """Bytes in the topic that are no event."""
    site.load.poison(REFUSED)
    return nothing


def table_locked(site: Site) -> Undo:
    """Somebody holds the table of entries in a session that is left open."""
    owner = psycopg.connect(site.settings.dsn)
    owner.execute("LOCK TABLE entry")
    return owner.close


def killed(site: Site) -> Undo:
    """A worker dies three times."""
    for _ in range(3):
        former = site.supervisor.kill9("worker-1")
        site.supervisor.await_restart("worker-1", former, 60)
        threading.Event().wait(LATE_S)
    return nothing


DRILL: Final = (
    Fault("a worker is killed three times in a minute", "ProcessRestarting", killed, patient=True),
    Fault("a certificate ends in two days", "CertificateAtItsEnd", certificate_near),
    Fault("4 % of a disk are free (simulated: a node exporter's textfile)", "DiskNearlyFull", disk_full),
    Fault("a sealed row of the log of reads is changed in the database", "AccessLogBroken", row_changed),
    Fault("a consent is withdrawn while the publisher hangs for 20 s", "ConsentPurgeLate", purge_late, patient=True),
    Fault("no API runs", "ApiDown", stopped("api")),
    Fault(
        "one vendor's system sends nothing", "SourceSilent", vendor_silent, WEEKS,
        {"authority": SILENT[0], "system": SILENT[1]}, after=7 * 86400 / WEEKS + 60,
    ),
    Fault(
        f"a vendor sends {REFUSED} events with an unknown KLE number", "RejectionsSpike", unknown_numbers, HOURS,
        {"system": BAD[1]}, after=3 * 3600 / HOURS + 60,
    ),
    Fault(f"{REFUSED} records that are no events (poison)", "RejectionsSpike", poison, HOURS, {"system": "unknown"}),
    Fault("the sealer's lock is held by somebody", "AccessLogUnsealed", locked(sealing.LOCK), HOURS),
    Fault(
        "the verifier's lock is held by somebody", "AccessLogUnverified", locked(reverifying.LOCK), HOURS,
        after=26 * 3600 / HOURS + 60,
    ),
    Fault("somebody's open transaction holds the table of entries", "PositionStuck", table_locked),
    Fault("no worker runs", "WorkersDown", stopped("worker-1")),
    Fault("no publisher runs", "PublishersDown", stopped("publisher-1")),
    Fault("Kafka is away", "DependencyAway", away(lambda site: site.running.kafka)),
    Fault("PostgreSQL is away", "DependencyAway", away(lambda site: site.running.postgres)),
    Fault("one of two workers is gone", "ProcessDown", one_of_two),
)  # fmt: skip

NOT_DRILLED: Final = {
    "EventsVisibleLate": "fires beside others, where events wait",
    "EventsVisibleLateSlowly": "needs three days",
    "LagGrowing": "needs more than a small load",
    "OutboxGrowing": "needs more than a small load",
    "EntryNotPublishable": "needs a fault of ours",
    "CertificateEnding": "fires beside `CertificateAtItsEnd`",
    "AccessAlarm": "no fault",
    "BreakGlass": "no fault",
}
"""Alerts that are shown by promtool's cases only, and why."""
