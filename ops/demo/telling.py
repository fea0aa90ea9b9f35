"""What the demo says: calm lines for people, or one JSON value a line; progress on a terminal only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from broker.domain.outcome import STATUSES
from ops.demo import canonical, care, world
from ops.demo.account import Account, summary
from ops.demo.gauges import Reading
from ops.demo.vendors import VENDORS
from ops.demo.world import name_of
from ops.embedded.instance import Ready

_WIDTH: Final = 110
_SYSTEMS: Final = {
    world.SYSTEM: "SBSYS, cases",
    **{vendor.system: vendor.label for vendor in VENDORS},
    care.SYSTEM: "KL Gateway, care",
    **{system: f"{system.capitalize()}, care" for system in care.SYSTEMS if system != care.SYSTEM},
    canonical.SYSTEM: "An archive, canonical",
}
_ORDER: Final = {system: place for place, system in enumerate(_SYSTEMS)}
_RUNNING: Final = "While this runs, look at:"


@dataclass(frozen=True, slots=True)
class Sample:
    """A search that finds something: the address, a token that may, what to ask, and how much it found just now."""

    url: str
    token: str
    citizen: str
    found: int

    @property
    def body(self) -> dict[str, str]:
        """What is posted."""
        return {"citizen": self.citizen, "purpose": "demo"}

    @property
    def curl(self) -> str:
        """Ready to paste."""
        return (
            f"curl -s {self.url} -H 'Authorization: Bearer {self.token}'"
            f" -H 'Content-Type: application/json' -d '{json.dumps(self.body)}'"
        )


class Teller:
    """Where all output goes."""

    def __init__(self, data: Path, *, as_json: bool) -> None:
        """`data` stands in the commands that are suggested."""
        self._data = data
        self._as_json = as_json
        self._err = Console(stderr=True)
        self._bar: Progress | None = None

    def line(self, text: str = "") -> None:
        """For people only."""
        if not self._as_json:
            print(text, flush=True)

    def event(self, name: str, **fields: Any) -> None:
        """For programs only."""
        if self._as_json:
            print(json.dumps({"event": name, **fields}, ensure_ascii=False), flush=True)

    @property
    def watched(self) -> bool:
        """Whether a bar is shown."""
        return self._bar is not None

    @contextmanager
    def progress(self, total: int | None) -> Iterator[None]:
        """Show a bar while the block runs, if anybody is looking."""
        if not self._err.is_terminal:
            yield
            return
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=self._err, transient=True) as self._bar:
            self._bar.add_task("starting to send", total=total)
            yield
        self._bar = None

    def moved(self, account: Account, rate: float, reading: Reading | None) -> None:
        """One more look at how far it is."""
        if self._bar is None:
            return
        said = f"{account.sent.total():,} sent, {rate:,.0f}/s"
        if reading is not None:
            p99 = "" if reading.p99 is None else f", 99 % visible within {reading.p99:g} s"
            said += f", lag {reading.lag:,}, outbox {reading.outbox:,}{p99}"
        self._bar.update(self._bar.task_ids[0], description=said, completed=account.decided)

    def ready(self, ready: Ready, seconds: float) -> None:
        """Everything runs."""
        self.event("ready", **asdict(ready))
        self.line(f"Kafka, PostgreSQL and all services run after {seconds:.0f} s: {ready.api} (data in {self._data})")

    def table(self, account: Account) -> None:
        """Per system and municipality, what became of what it sent."""
        senders = sorted(account.sent.items(), key=lambda pair: (_ORDER[pair[0].system], -pair[1]))
        if self._as_json:
            rows = [
                {**sender._asdict(), "sent": sent, **{status: account.outcomes[sender][status] for status in STATUSES}}
                for sender, sent in senders
            ]
            self.event("table", rows=rows)
            return
        table = Table(title="What became of each event")
        table.add_column("system")
        table.add_column("municipality")
        for name in ("sent", *STATUSES):
            table.add_column(name, justify="right")
        before = ""
        for sender, sent in senders:
            if before and before != sender.system:
                table.add_section()
            shown = "" if before == sender.system else _SYSTEMS[sender.system]
            _row(table, shown, name_of(sender.authority), sent, account.outcomes[sender])
            before = sender.system
        table.add_section()
        _row(table, "together", "", account.sent.total(), account.total)
        Console(width=_WIDTH).print(table)

    def rejections(self, account: Account) -> None:
        """A few, as their vendors see them."""
        if account.rejections:
            self.line("\nSome that were not taken in, and what their vendor was told at once:")
        for sender, told in account.rejections.values():
            self.line(
                f"  {name_of(sender.authority)}, {_SYSTEMS[sender.system]}: {told['code']} at {told['pointer'] or '/'}"
            )
            self.line(f"    {told['detail']}")
            self.line(f"    What to do: {told['remedy']}")

    def codes(self, account: Account) -> None:
        """Every code that was met, and how often: refusals, what is incomplete, warnings."""
        if self._as_json or not account.codes:
            return
        said = ", ".join(f"{code} {number:,}" for code, number in account.codes.most_common())
        self.line("\nThe reasons given, and how often:")
        self.line(fill(said, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False))

    def balance(self, account: Account, seconds: float, reading: Reading | None) -> None:
        """The sum, in words."""
        total = account.total
        parts = " + ".join(f"{total[status]:,} {status}" for status in STATUSES)
        self.line(f"{account.sent.total():,} sent = {parts}, in {seconds:.1f} s.")
        p99 = None if reading is None else reading.p99
        visible = "" if p99 is None else f" 99 % of them were visible within {p99:g} s of their arrival."
        self.line(f"{account.sent.total() / max(seconds, 0.001):,.0f} events a second.{visible}")

    def summary(self, account: Account, seconds: float) -> None:
        """The sum, for programs: their last line."""
        said = summary(account, seconds)
        self.event(said.pop("event"), **said)

    def missing(self, flaws: list[str]) -> None:
        """What is not as it should be."""
        for flaw in flaws:
            self.event("missing", what=flaw)
            self.line(f"NOT ACCOUNTED FOR: {flaw}")
        if flaws:
            self.line(f"What the services say stands in {self._data / 'log'}")

    def look(self, api: str, sample: Sample | None, changes: str | None, metrics: Sequence[str]) -> None:
        """Where to go on from here. `metrics`: where the other processes tell theirs; none when it ends now."""
        addresses = {name: f"{api}/{name}" for name in ("docs", "metrics", "ops")} | {"data": str(self._data)}
        search = None if sample is None else {"url": sample.url, "token": sample.token, "body": sample.body}
        self.event("look", search=search, **addresses)
        self.line(f"\n{_RUNNING if metrics else self._again(api)}")
        self.line(f"  the HTTP API, to read and to try    {addresses['docs']}")
        self.line(f"  what is measured, by the API        {addresses['metrics']}")
        for url in metrics:
            self.line(f"    by a worker or publisher          {url}")
        self.line(f"  what was rejected, and why          ./sagsbro rejections list --data {self._data}")
        self.line(f"  who delivers what, and how far      ./sagsbro coverage --data {self._data}")
        self.line(f"  what an operator watches            {addresses['ops']}, with what this prints:")
        self.line(f"    ./sagsbro token --role operator{_named()} --data {self._data}")
        self.line(f"  the services' own lines             {self._data / 'log'}")
        if sample is not None:
            self.line(f"  a caseworker's search for a citizen (nobody real) with {sample.found} cases to be seen:\n")
            self.line(sample.curl)
        if sample is not None and changes is not None:
            self.line("\n  what changes for some citizens, as it happens; Ctrl-C ends it:\n")
            self.line(f"curl -sN {api}{changes} -H 'Authorization: Bearer {sample.token}'")

    def _again(self, api: str) -> str:
        port = api.rpartition(":")[2]
        return (
            "Everything stops now. The data stay until the next demo; this serves them again:\n"
            f"  ./sagsbro up --data {self._data} --api-port {port}\n"
            "While that runs, look at:"
        )

    def streaming(self, rate: int) -> None:
        """It goes on."""
        self.line(f"\nNow {rate} events a second keep coming. Ctrl-C stops everything.")


def _named() -> str:
    """The municipalities of the demo, as options."""
    return "".join(f" --authority {one['cvr']}" for one in world.authorities())


def _row(table: Table, system: str, name: str, sent: int, outcomes: Mapping[str, int]) -> None:
    table.add_row(system, name, f"{sent:,}", *(f"{outcomes.get(status, 0):,}" for status in STATUSES))
