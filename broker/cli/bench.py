"""`sagsbro bench`: measure, and break things on purpose. The work is done by `ops.bench`."""

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

SECOND_MS = 1000


@click.group()
def bench() -> None:
    """Measurements and fault storms; each runs on parts of its own in a temporary directory."""


@bench.command()
@click.option("--events", default=100_000, show_default=True, help="How many events each storm sends.")
@click.option("--kills", default=10, show_default=True, help="How often a worker is killed with SIGKILL.")
@click.option("--node-kills", default=0, help="Have three Kafka nodes, and kill and restart one so often each.")
@click.option("--seed", "seeds", type=int, multiple=True, default=(1, 2, 3), show_default=True, help="Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a storm.")
def faults(events: int, kills: int, node_kills: int, seeds: tuple[int, ...], *, as_json: bool) -> None:
    """Kill, stop, continue and restart everything in the middle of a stream; exit 3 when anything is wrong after it."""
    from ops.bench.faults import Scale, run  # noqa: PLC0415 - only this command needs it

    wrong = False
    for seed in seeds:
        with tempfile.TemporaryDirectory(prefix="sagsbro-faults-") as folder:
            scale = Scale(events, kills, node_kills=node_kills)
            report = run(Path(folder) / "data", seed, scale, _tell)
        wrong |= bool(report.wrong)
        click.echo(json.dumps(asdict(report)) if as_json else _line(asdict(report)))
    if wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--seconds", default=600.0, show_default=True, help="How long to send.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def intake(seconds: float, *, as_json: bool) -> None:
    """Send as fast as the front door takes it: events a second, request times, and every process's memory.

    Exit 3 when nothing came in, something accepted is not in the log, or a process of ours grew.
    """
    from ops.bench.intake import run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-intake-") as folder:
        report = run(Path(folder) / "data", seconds)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--events", default=200_000, show_default=True, help="How many events a pass has.")
@click.option("--runs", default=3, show_default=True, help="How often each row is measured.")
@click.option("--row", "rows", multiple=True, help="Only this row; repeatable. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run, as it comes.")
def throughput(events: int, runs: int, rows: tuple[str, ...], *, as_json: bool) -> None:
    """Events a second of our whole pipeline, of its peers and of the database alone; exit 3 when a table is wrong."""
    from ops.bench.throughput import ROWS, run, table  # noqa: PLC0415 - only this command needs it

    if unknown := sorted(set(rows) - set(ROWS)):
        raise click.BadParameter(f"no row {', '.join(unknown)}; there are {', '.join(ROWS)}", param_hint="--row")
    results = []
    with tempfile.TemporaryDirectory(prefix="sagsbro-throughput-") as folder:
        measured = run(Path(folder) / "data", events, runs, rows or ROWS, lambda text: click.echo(text, err=True))
        for result in measured:
            results.append(result)
            if as_json:
                click.echo(json.dumps(asdict(result)))
            if result.why:
                click.echo(f"{result.row}: {result.why}", err=True)
    if not as_json:
        click.echo("\n".join(table(results)))
    if any(result.verdict == "wrong" for result in results):
        raise SystemExit(3)


def _line(report: dict[str, object]) -> str:
    said = report["wrong"] or "table, topics and rejections equal what was sent"
    return f"seed {report['seed']}: {report['sent']} sent, {report['kills']} kills, {report['seconds']} s: {said}"


@bench.command()
@click.option(
    "--entries",
    "sizes",
    type=click.IntRange(1000),
    multiple=True,
    default=(1_000_000, 5_000_000),
    show_default=True,
    help="At how many entries to read; repeatable.",
)
@click.option("--requests", default=1000, show_default=True, help="How many of each kind.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the index here; filled only with what it lacks. [default: made anew]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def reads(sizes: tuple[int, ...], requests: int, data: Path | None, *, as_json: bool) -> None:
    """Search an index of each size, with 1 grant and with 200; exit 3 when a statement reads the whole of it."""
    from ops.bench.reads import TooLargeError, run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-reads-") as folder:
        try:
            report = run(data or Path(folder) / "data", sizes, requests, _tell)
        except TooLargeError as error:
            raise click.BadParameter(str(error), param_hint="--entries") from None
    _show(asdict(report) | {"scans": report.scans}, as_json=as_json)
    if report.scans:
        raise SystemExit(3)


@bench.command()
@click.option("--rate", "rates", type=int, multiple=True, default=(500, 2000), show_default=True, help="Repeatable.")
@click.option("--seconds", default=60.0, show_default=True, help="How long each rate is kept up.")
@click.option("--entries", default=100_000, show_default=True, help="How many cases are there before.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def latency(rates: tuple[int, ...], seconds: float, entries: int, *, as_json: bool) -> None:
    """Send at a steady rate: milliseconds from received to visible in search and to read from the overview topic.

    Exit 3 when an event never gets there.
    """
    from ops.bench.latency import run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-latency-") as folder:
        report = run(Path(folder) / "data", rates, seconds, entries, _tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--citizens", default=20, show_default=True, help="How many consent and withdraw, one after the other.")
@click.option("--entries", default=500, show_default=True, help="How many cases each of them has.")
@click.option("--rate", default=1000, show_default=True, help="Events a second of others meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def purge(citizens: int, entries: int, rate: int, *, as_json: bool) -> None:
    """Withdraw consents under load: milliseconds until search, topic and stream are empty; exit 3 when one is not."""
    from ops.bench.purge import run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-purge-") as folder:
        report = run(Path(folder) / "data", citizens, entries, rate, _tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong or any(row.left for row in report.rows):
        raise SystemExit(3)


@bench.command()
@click.option("--steps", default="100000,1000000,5000000", show_default=True, help="Sizes of the index.")
@click.option("--live", default=50_000, show_default=True, help="How many events of each step go through Kafka.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def growth(steps: str, live: int, *, as_json: bool) -> None:
    """What an event costs and what each process holds while the index grows; exit 3 when it does not keep up."""
    from ops.bench.growth import run  # noqa: PLC0415 - only this command needs it

    try:
        sizes = sorted({int(step) for step in steps.split(",")})
    except ValueError:
        raise click.UsageError("--steps is a list of numbers") from None
    with tempfile.TemporaryDirectory(prefix="sagsbro-growth-") as folder:
        report = run(Path(folder) / "data", sizes, live, _tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


def _tell(text: str) -> None:
    click.echo(text, err=True)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    """JSON, or each list of rows as a table."""
    if as_json:
        click.echo(json.dumps(report))
        return
    for name, said in report.items():
        if isinstance(said, list) and said and isinstance(said[0], dict):
            click.echo(f"{name}\n| {' | '.join(said[0])} |\n|{'---|' * len(said[0])}")
            for row in said:
                click.echo(f"| {' | '.join('' if said is None else str(said) for said in row.values())} |")
        else:
            click.echo(f"{name}: {said}")


@bench.command()
@click.option("--seconds", default=1.0, show_default=True, help="Of processor time, for each connector.")
@click.option("--connector", "only", multiple=True, help="Only this one; repeatable. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def translate(seconds: float, only: tuple[str, ...], *, as_json: bool) -> None:
    """Split and translate each connector's golden payloads: cases a second, by processor time."""
    from broker.intake.connector import names  # noqa: PLC0415 - only this command needs it
    from ops.bench.translate import run  # noqa: PLC0415 - only this command needs it

    if unknown := sorted(set(only) - set(names())):
        raise click.BadParameter(f"no connector {', '.join(unknown)}", param_hint="--connector")
    _show(asdict(run(seconds, only)), as_json=as_json)


@bench.command()
@click.option("--entries", type=click.IntRange(1000), default=200_000, show_default=True, help="How many to derive.")
@click.option("--live", type=click.IntRange(1), help="Beside so many events a second.")
@click.option("--most", type=click.IntRange(1), help="With --live: derive so many entries a second at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def rederive(entries: int, live: int | None, most: int | None, *, as_json: bool) -> None:
    """Derive an index anew when nothing has changed and when everything has; exit 3 when anything is wrong after it.

    With --live: when everything has, beside a worker, a publisher and events that come in meanwhile.
    """
    from ops.bench.rederive import beside, run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-rederive-") as folder:
        data = Path(folder) / "data"
        report = run(data, entries, _tell) if live is None else beside(data, entries, live, most, _tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--events", type=click.IntRange(1000), default=50_000, show_default=True, help="How many are sent.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def restore(events: int, *, as_json: bool) -> None:
    """Lose the database under load and bring it back from a backup; lose the log and go on with a new one.

    Exit 3 when anything is wrong after either.
    """
    from ops.bench.restore import run, run_log_lost  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-restore-") as folder:
        database = run(Path(folder) / "database", events, tell=_tell)
        log = run_log_lost(Path(folder) / "log", events, tell=_tell)
    _show({"database_lost": [asdict(database)], "log_lost": [asdict(log)]}, as_json=as_json)
    if database.wrong or log.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--rate", type=click.IntRange(10), default=500, show_default=True, help="Events a second meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def upgrade(rate: int, *, as_json: bool) -> None:
    """Let a next release take over process by process while events flow; exit 3 when anything is wrong after it."""
    from ops.bench.upgrade import run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-upgrade-") as folder:
        report = run(Path(folder) / "data", rate, tell=_tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--cases", type=click.IntRange(1000), default=300_000, show_default=True, help="How many are loaded.")
@click.option("--live", type=click.IntRange(100), default=100_000, show_default=True, help="Events beside the load.")
@click.option("--kills", default=5, show_default=True, help="Of the loader, each with a worker's.")
@click.option("--rate", type=click.FloatRange(1), help="Payloads a second at most. [default: as fast as it goes]")
@click.option("--seed", default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def load(cases: int, live: int, kills: int, rate: float | None, seed: int, *, as_json: bool) -> None:
    """Load a whole stock beside live events, everything killed on the way; exit 3 when anything differs after it."""
    from ops.bench.load import Scale, run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-load-") as folder:
        report = run(Path(folder) / "data", Scale(cases, live, kills, rate, seed), _tell)
    _show(asdict(report), as_json=as_json)
    if report.wrong:
        raise SystemExit(3)


@bench.command()
@click.option("--rows", type=click.IntRange(1000), default=300_000, show_default=True, help="Reads in the log.")
@click.option("--requests", default=20, show_default=True, help="How often each question is asked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def log(rows: int, requests: int, *, as_json: bool) -> None:
    """Search a log of reads of that size, seal and check it; exit 3 when an answer takes a second or a row is wrong."""
    from ops.bench.log import run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-log-") as folder:
        report = run(Path(folder) / "data", rows, requests, _tell)
    _show(asdict(report) | {"slowest_ms": report.slowest}, as_json=as_json)
    if report.findings or report.slowest >= SECOND_MS:
        raise SystemExit(3)


@bench.command()
@click.option("--minutes", type=click.FloatRange(0.1), default=30.0, show_default=True, help="How long.")
@click.option("--rate", type=click.IntRange(1), default=2000, show_default=True, help="Events a second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--fault-every", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with each process's memory over time.")
def soak(minutes: float, rate: int, seed: int, fault_every: float, *, as_json: bool) -> None:
    """Load, consents, searches and streams at once while things break; exit 3 when anything was lost or leaked."""
    from ops.bench.soak import Scale, run  # noqa: PLC0415 - only this command needs it

    with tempfile.TemporaryDirectory(prefix="sagsbro-soak-") as folder:
        report = asdict(run(Path(folder) / "data", Scale(minutes, rate, seed, fault_every), _tell))
    if not as_json:
        del report["series"]
    _show(report, as_json=as_json)
    if report["wrong"]:
        raise SystemExit(3)


command = bench
