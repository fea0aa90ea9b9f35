"""`sagsbro verify`: whether the log of reads is as it was sealed."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click
import psycopg
from rich.console import Console
from rich.progress import Progress

from broker.cli.running import AS_JSON, DATA, away
from broker.processing.verifying import NoKeyError, Report, verify
from broker.settings import find
from broker.stream.tail import AWAY

WRONG: Final = 3
MOST_SHOWN: Final = 100


@click.command("verify")
@DATA
@AS_JSON
def command(data: Path | None, *, as_json: bool) -> None:
    """Look through the log of reads, its chain, signatures and anchors; exit 3 when anything is wrong."""
    try:
        report = _run(data)
    except NoKeyError:
        raise click.UsageError("no key: set SAGSBRO_SEAL_PUBLIC_KEYS, or SAGSBRO_SEAL_KEY") from None
    except (OSError, ValueError) as error:
        raise click.ClickException(f"the key or Kafka cannot be read ({type(error).__name__})") from None
    except (psycopg.Error, *AWAY) as error:
        raise away(data, error) from None
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        _tell(report)
    if report.findings:
        raise SystemExit(WRONG)


def _run(data: Path | None) -> Report:
    settings = find(data)
    if not sys.stderr.isatty():
        return verify(settings)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rows", total=None)
        return verify(settings, lambda rows: bar.update(task, completed=rows))


def _tell(report: Report) -> None:
    click.echo(
        f"{report.rows} rows in {report.segments} segments up to number {report.last}, {report.anchors} anchored"
    )
    if report.unsealed:
        click.echo(f"{report.unsealed} rows since {report.unsealed_since} wait for the sealer, which is no flaw")
    for finding in report.findings[:MOST_SHOWN]:
        where = "no segment" if finding.segment is None else f"segment {finding.segment}"
        click.echo(f"{finding.flaw}: {where}" + ("" if finding.row is None else f", row {finding.row}"))
    if len(report.findings) > MOST_SHOWN:
        click.echo(f"and {len(report.findings) - MOST_SHOWN} more")
    click.echo("wrong" if report.findings else "as it was sealed")
