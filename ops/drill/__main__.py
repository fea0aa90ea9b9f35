"""`python -m ops.drill`: about an hour. Prints a line for each step on standard error and the table at the end."""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Final, NamedTuple

from broker.settings import said
from ops.bench.purge import ready
from ops.drill.faults import DRILL, Fault
from ops.drill.history import Row, addressed, table
from ops.drill.site import GOOD_DAYS, Site, certificate
from ops.drill.watch import Watch, got
from ops.embedded import instance

FIRES_S: Final = 900.0
ENDS_S: Final = 1500.0
TOLD_S: Final = 90.0
LOOK_S: Final = 0.25


ASKED: Final = 4
"""API, worker, publisher and node exporter."""


class Done(NamedTuple):
    """A fault and when it was broken and undone (monotonic)."""

    fault: Fault
    broken: float
    undone: float

    def until(self, others: Iterable["Done"]) -> float:
        """When the same alert was asked for again, if it was."""
        return min(
            (one.broken for one in others if one.fault.alert == self.fault.alert and one.broken > self.broken),
            default=inf,
        )


def main() -> int:
    """Run it; 1 when an alert did not fire, or did not resolve."""
    asked = argparse.ArgumentParser(prog="python -m ops.drill", description=main.__doc__)
    asked.add_argument("--only", action="append", help="An alert; repeatable. [default: all]")
    asked.add_argument("--data", type=Path, help="A new directory that is kept. [default: one that is not]")
    options = asked.parse_args()
    faults = [fault for fault in DRILL if not options.only or fault.alert in options.only]
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="sagsbro-drill-") as folder:
        rows = drill(options.data or Path(folder) / "data", faults)
    print(table(rows))
    return 0 if all(row.fired is not None and row.resolved is not None for row in rows) else 1


def drill(data: Path, faults: Sequence[Fault]) -> list[Row]:
    """All of them, one after the other, on a Sagsbro of their own."""
    data.mkdir(parents=True, mode=0o700)
    certificate(data / "drill.pem", GOOD_DAYS)
    os.environ["SAGSBRO_CERTIFICATE_FILES"] = json.dumps({"drill": str(data / "drill.pem")})
    with instance.held(instance.Plan(data, log=data / "services.log"), {}) as running:
        running.start(ready)
        site = Site(running, said(running.settings), data / "drill.pem")
        site.start()
        targets = data / instance.TARGETS
        watches = {
            factor: Watch(factor, data / f"watch-{factor}", running.supervisor, targets, site.node)
            for factor in {fault.factor for fault in faults}
        }
        began = time.monotonic()
        _until(lambda: all(_asks_all(watch) for watch in watches.values()), 120)
        done = [_broken(fault, site, watches[fault.factor], began) for fault in faults]
        _until(lambda: all(_ended(one, watches[one.fault.factor], done) is not None for one in done), ENDS_S)
        site.load.stop.set()
        return [_row(one, watches[one.fault.factor], done) for one in done]


def _broken(fault: Fault, site: Site, watch: Watch, began: float) -> Done:
    threading.Event().wait(max(0.0, began + fault.after - time.monotonic()))
    labels, since = frozenset(fault.labels.items()), time.monotonic()
    _tell(fault.name)
    undo = fault.broken(site)
    fired = _until(lambda: watch.history.first(fault.alert, labels, since) is not None, FIRES_S)
    _tell(f"  {fault.alert} {'fires' if fired else 'DOES NOT FIRE'} after {time.monotonic() - since:.1f} s")
    # Whom it tells is waited for: what is undone before would be told to nobody.
    _until(lambda: bool(addressed(watch.receivers.told, fault.alert, since, inf)), TOLD_S if fired else 0)
    undo()
    undone = time.monotonic()
    if fired and not fault.patient:
        ended = _until(lambda: watch.history.last_end(fault.alert, labels, since) is not None, ENDS_S)
        _tell(f"  {'resolved' if ended else 'NOT RESOLVED'} after {time.monotonic() - undone:.1f} s")
    return Done(fault, since, undone)


def _ended(one: Done, watch: Watch, done: Sequence[Done]) -> float | None:
    labels = frozenset(one.fault.labels.items())
    return watch.history.last_end(one.fault.alert, labels, one.broken, one.until(done))


def _row(one: Done, watch: Watch, done: Sequence[Done]) -> Row:
    fault, labels = one.fault, frozenset(one.fault.labels.items())
    first = watch.history.first(fault.alert, labels, one.broken)
    ended = _ended(one, watch, done)
    until = one.undone if ended is None else ended
    return Row(
        fault.name,
        fault.alert,
        fault.factor,
        None if first is None else first.began - one.broken,
        None if ended is None else max(0.0, ended - one.undone),
        addressed(watch.receivers.told, fault.alert, one.broken, until),
        watch.history.others(fault.alert, one.broken, until),
    )


def _asks_all(watch: Watch) -> bool:
    try:
        active = got(f"{watch.prometheus}/api/v1/targets?state=active")["data"]["activeTargets"]
    except OSError:
        return False
    return len(active) == ASKED and all(target["health"] == "up" for target in active)


def _until(there: Callable[[], bool], patience_s: float) -> bool:
    deadline, pause = time.monotonic() + patience_s, threading.Event()
    while not (found := there()) and time.monotonic() < deadline:
        pause.wait(LOOK_S)
    return found


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
