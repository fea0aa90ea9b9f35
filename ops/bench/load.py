"""A full load beside live events while its loader and the workers are killed, and the proof that nothing is missing.

Three acts on one instance. First: a source's whole stock is loaded into an empty index while newer, older and repeated
registrations, new cases and removals come in over HTTP; the loader and the workers are killed again and again. Second:
the agreement is narrowed and opened again under another load, so that a part is refused; comparing shows what is
missing, and one more load brings it. Third: a part of the cases vanishes at the source without a word, and a repair
takes them out, but for those that are registered anew meanwhile. After each act the source's manifest must show no
difference, and the table must equal an independent calculation.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, cast

import httpx

from broker.cli.setup import prepare
from broker.domain.case import CaseEvent
from broker.domain.identity import EntryKey
from broker.domain.reconcile import removal
from broker.intake.canonical import iso, to_json
from broker.security import Issuer
from broker.settings import Settings, said
from broker.store.database import connect, query
from ops.bench.faults import SETTLE_S, settle
from ops.bench.filled import AUTHORITIES, SYSTEMS, agree, filled
from ops.bench.storm import HELD, digest, expected_lines, held_lines
from ops.embedded import instance
from ops.embedded.instance import Instance

AUTHORITY: Final = AUTHORITIES[0]
SYSTEM: Final = SYSTEMS[0]
RESTRICTED: Final = ["27.36.*"]
BATCH: Final = 200
VANISHING: Final = 40
"""One case in so many."""
PATIENCE_S: Final = 1800.0
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Scale:
    """Half of the `live` events come in each act; rate: payloads a second at most; kills: of the loader."""

    cases: int = 300_000
    live: int = 100_000
    kills: int = 5
    rate: float | None = None
    seed: int = 1


@dataclass(slots=True)
class Report:
    """What was done and what came of it; `wrong` is empty when all is well. per_second: of the undisturbed load."""

    cases: int = 0
    live: int = 0
    loader_kills: int = 0
    worker_kills: int = 0
    missing_while_narrowed: int = 0
    vanished: int = 0
    loaded_in_s: float = 0.0
    per_second: int = 0
    digest: str = ""
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


class World:
    """What the source registers: its stock, and what happens beside each act."""

    def __init__(self, scale: Scale) -> None:
        chance = random.Random(scale.seed)  # noqa: S311 - reproducible
        self.stock = [_event(chance, number, number) for number in range(scale.cases)]
        live = [self._lived(chance, scale.cases, scale.cases + n) for n in range(scale.live)]
        self.first, self.second = live[: scale.live // 2], live[scale.live // 2 :]

    def _lived(self, chance: random.Random, cases: int, n: int) -> CaseEvent:
        kind = chance.random()
        if kind < 0.1:  # noqa: PLR2004 - one in ten is a new case
            return _event(chance, n, n)
        number = chance.randrange(cases)
        if kind < 0.2:  # noqa: PLR2004 - one in ten is late: registered before the stock was
            return _event(chance, number - 2 * cases, number)
        if kind < 0.25:  # noqa: PLR2004 - one in twenty is a repetition of the stock
            return self.stock[number]
        event = _event(chance, n, number)
        if kind < 0.3:  # noqa: PLR2004 - one in twenty is a removal
            head = {name: event[name] for name in ("event_id", "system", "authority", "case_id", "registered_at")}
            return cast("CaseEvent", {**head, "change": "REMOVED", "removal_reason": "LEFT_INDEX"})
        return event


def current(events: Iterable[CaseEvent]) -> list[CaseEvent]:
    """The newest registration of every case that the source still has."""
    newest: dict[str, CaseEvent] = {}
    for event in events:
        standing = newest.get(event["case_id"])
        if standing is None or standing["registered_at"] < event["registered_at"]:
            newest[event["case_id"]] = event
    return [event for event in newest.values() if event["change"] == "REGISTERED"]


def _again(event: CaseEvent) -> CaseEvent:
    """Registered once more, a moment later."""
    at = event["registered_at"] + 1
    return cast("CaseEvent", {**event, "registered_at": at, "event_id": f"{event['event_id']}-again"})


def _key(event: CaseEvent) -> EntryKey:
    return EntryKey(event["authority"], event["system"], event["case_id"])


def expected(events: Iterable[CaseEvent]) -> str:
    """Digest of the table as it must be, calculated without the broker; removed cases leave no line."""
    return digest(line for line in expected_lines(events) if not line.endswith(" {}"))


def _event(chance: random.Random, n: int, number: int) -> CaseEvent:
    event = filled(chance, n, number)
    event["authority"], event["system"] = AUTHORITY, SYSTEM
    return event


def run(data: Path, scale: Scale, tell: Tell = lambda _: None) -> Report:
    """All acts on a machine of its own under `data`."""
    report, began = Report(scale.cases, scale.live), time.monotonic()
    world = World(scale)
    with instance.held(instance.Plan(data, workers=2, log=data / "services.log"), {}) as running:
        running.start(ready)
        stage = Stage(running, data, scale, report, tell)
        stage.first(world)
        stage.third(stage.second(world))
    report.seconds = round(time.monotonic() - began, 1)
    return report


def ready(where: Mapping[str, str]) -> None:
    """Schema, topics and agreements."""
    settings = said(where)
    prepare(settings)
    agree(settings)


class Stage:
    """The instance, and what is done on it."""

    def __init__(self, running: Instance, data: Path, scale: Scale, report: Report, tell: Tell) -> None:
        self._running = running
        self._settings = said(running.settings)
        self._data = data
        self._scale = scale
        self._report = report
        self._tell = tell
        self._pause = threading.Event()

    def first(self, world: World) -> None:
        """The stock into an empty index, beside live events, everything killed on the way."""
        stock = _written(self._data / "stock.ndjson", world.stock)
        self._tell("loading the stock beside live events; killing the loader and the workers")
        began = time.monotonic()
        with Live(self._settings, world.first) as live:
            live.start()
            self._load(stock, self._kills())
        self._report.loaded_in_s = round(time.monotonic() - began, 1)
        self.settled()
        self.equal([*world.stock, *world.first], "after the load")

    def second(self, world: World) -> list[CaseEvent]:
        """Narrowed and opened again in the middle of a load of what the source has now; then loaded once more.

        Returns everything that was ever registered.
        """
        everything = [*world.stock, *world.first, *world.second]
        stands = current(everything)
        now = _written(self._data / "now.ndjson", stands)
        self._tell("narrowing and opening the agreement under load")
        third = len(stands) // 3
        with Live(self._settings, world.second) as live:

            def narrow() -> None:
                self._agree("RESTRICTED")
                live.start()

            self._load(now, [(third, narrow), (2 * third, lambda: self._agree("FULL"))])
        self.settled()
        self._report.missing_while_narrowed = self.compare(stands)["missing"]["count"]
        if not self._report.missing_while_narrowed:
            self._report.wrong.append("nothing was refused while the agreement was narrow: nothing was tried")
        self._tell("loading once more")
        began = time.monotonic()
        self._load(now, [])
        self._report.per_second = round(len(stands) / (time.monotonic() - began))
        self.settled()
        self.equal(everything, "after narrowing and opening")
        return everything

    def third(self, everything: list[CaseEvent]) -> None:
        """Cases vanish without a word; some of them are registered again before their removal arrives, some after."""
        stands = current(everything)
        vanished = stands[::VANISHING]
        gone = {event["case_id"] for event in vanished}
        back = [_again(event) for event in vanished[::4]]
        self._tell("repairing what vanished")
        left = [event for event in stands if event["case_id"] not in gone]
        compared = self.compare(left, "--repair", meanwhile=lambda: self.send(back[::2]))
        self._report.vanished = compared["superfluous"]["count"]
        if not self._report.vanished:
            self._report.wrong.append("nothing had vanished: nothing was tried")
        self.send(back[1::2])
        self.settled()
        removals = [removal(_key(event), event["registered_at"]) for event in vanished]
        self.equal([*everything, *removals, *back], "after the repair", [*left, *back])

    def send(self, events: list[CaseEvent]) -> None:
        """Over HTTP, as the vendor does; returns when all are taken."""
        with Live(self._settings, events) as live:
            live.start()

    def settled(self) -> None:
        """Wait until all is read and published."""
        self._report.wrong += settle(self._settings, SETTLE_S + self._scale.cases / 500)

    def _kills(self) -> list[tuple[int, Callable[[], None] | None]]:
        """At even distances; None is the loader itself."""
        step = self._scale.cases // (self._scale.kills + 1)
        return [(step * (number + 1), None) for number in range(self._scale.kills)]

    def _load(self, path: Path, events: Iterable[tuple[int, Callable[[], None] | None]]) -> None:
        """Run the command until it ends by itself; at so many payloads each something happens."""
        left = list(events)
        loader = self._loader(path)
        deadline = time.monotonic() + PATIENCE_S
        try:
            while loader.poll() is None and time.monotonic() < deadline:
                if left and self._loaded() >= left[0][0]:
                    _, happen = left.pop(0)
                    if happen is not None:
                        happen()
                    else:
                        os.killpg(loader.pid, signal.SIGKILL)
                        loader.wait()
                        self._report.loader_kills += 1
                        with suppress(ProcessLookupError):
                            self._running.supervisor.kill9(f"worker-{1 + len(left) % 2}")
                            self._report.worker_kills += 1
                        loader = self._loader(path)
                self._pause.wait(0.1)
            if loader.poll() != 0:
                self._report.wrong.append(f"the loader ended with {loader.poll()}")
            if left:
                self._report.wrong.append(f"{len(left)} things did not happen before the load was done")
        finally:
            if loader.poll() is None:
                os.killpg(loader.pid, signal.SIGKILL)
                loader.wait()

    def _loader(self, path: Path) -> subprocess.Popen[bytes]:
        rate = [] if self._scale.rate is None else ["--rate", str(self._scale.rate)]
        chunk = ["--chunk", str(max(10, min(1000, self._scale.cases // 100)))]
        arguments = ["load", SYSTEM, str(path), "--authority", AUTHORITY, *chunk, *rate]
        with (self._data / "load.log").open("ab") as log:
            return subprocess.Popen(self.command(*arguments), stdout=log, stderr=log, start_new_session=True)

    def command(self, *arguments: str) -> list[str]:
        """`sagsbro` with these, for this instance."""
        return [sys.executable, "-m", "broker.cli", *arguments, "--json", "--data", str(self._data)]

    def _loaded(self) -> int:
        """Payloads of the load that goes on."""
        with connect(self._settings.dsn, "bench") as connection:
            row = connection.execute(
                "SELECT coalesce(sum(payloads), 0) FROM load_chunk JOIN load_run ON id = load WHERE finished_at IS NULL"
            ).fetchone()
        return 0 if row is None else int(row[0])

    def _agree(self, state: str) -> None:
        with connect(self._settings.dsn, "bench") as connection, connection.transaction():
            connection.execute(query("change_revision"))
            connection.execute(
                "INSERT INTO sender_agreement (authority, system, version, body, put_by)"
                " SELECT authority, system, version + 1,"
                " body || jsonb_build_object('state', %s::text, 'restricted', %s::jsonb), 'bench'"
                " FROM sender_agreement WHERE authority = %s AND system = %s ORDER BY version DESC LIMIT 1",
                [state, json.dumps({"kle": RESTRICTED, "citizens": []}), AUTHORITY, SYSTEM],
            )
            connection.execute("UPDATE reference_revision SET revision = revision + 1")

    def compare(
        self, stands: list[CaseEvent], *flags: str, meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """What `sagsbro reconcile` says of the source's list; `meanwhile` comes after it was made."""
        path = self._data / "manifest.ndjson"
        as_of = datetime.now(UTC).isoformat()
        with path.open("w", encoding="utf-8") as file:
            for event in stands:
                kle = (event.get("classification") or {})["kle"]
                said_of = {"case_id": event["case_id"], "registered_at": iso(event["registered_at"]), "kle": kle}
                file.write(json.dumps(said_of) + "\n")
        meanwhile()
        ran = subprocess.run(
            self.command("reconcile", SYSTEM, str(path), "--authority", AUTHORITY, "--as-of", as_of, *flags),
            capture_output=True,
            check=False,
        )
        if not ran.stdout:
            raise RuntimeError(ran.stderr.decode(errors="replace")[-500:])
        answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[0])
        return answer

    def equal(self, events: list[CaseEvent], when: str, stands: list[CaseEvent] | None = None) -> None:
        """The source's list shows no difference, and the table is what these events make; else that is wrong."""
        compared = self.compare(current(events) if stands is None else stands)
        counts = {kind: compared[kind]["count"] for kind in ("missing", "superfluous", "older", "newer")}
        if any(counts.values()):
            self._report.wrong.append(f"{when}: {counts}")
        if compared["digest"]["here"] != compared["digest"]["there"]:
            self._report.wrong.append(f"{when}: the digests of the comparison differ")
        with connect(self._settings.dsn, "bench") as connection:
            made = digest(held_lines(connection.execute(f"{HELD} WHERE shape & 511 <> 0")))
        if made != expected(events):
            self._report.wrong.append(f"{when}: the table differs from what was sent")
        self._report.digest = made


def _written(path: Path, events: Iterable[CaseEvent]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for event in events:
            file.write(json.dumps(to_json(event)) + "\n")
    return path


class Live(threading.Thread):
    """Sends events over HTTP, as a vendor does; the block ends when all of them are taken, however long it takes."""

    def __init__(self, settings: Settings, events: list[CaseEvent]) -> None:
        super().__init__(name="live")
        self._settings = settings
        self._events = events
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.ident is not None:
            self.join()
        if self._failed is not None:
            raise self._failed

    def run(self) -> None:
        """Each batch until it is taken."""
        claims = {"sub": "bench", "role": "vendor", "system": SYSTEM, "authorities": [AUTHORITY]}
        token = Issuer(self._settings).issue(claims, 24 * 3600)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            with httpx.Client(base_url=self._settings.api_url, headers=headers, timeout=60, trust_env=False) as client:
                for start in range(0, len(self._events), BATCH):
                    self._send(client, [to_json(event) for event in self._events[start : start + BATCH]])
        except BaseException as error:  # noqa: BLE001 - raised again where the block ends
            self._failed = error

    def _send(self, client: httpx.Client, batch: list[dict[str, Any]]) -> None:
        while True:
            answer = client.post("/v1/case-events", json=batch)
            if answer.status_code in (202, 422):
                return
            if answer.status_code not in (429, 503):
                raise RuntimeError(f"status {answer.status_code}")
            threading.Event().wait(0.5)
