"""`sagsbro certificates`: which certificates the settings name, and when each ends."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from broker.certificates import BUNDLE, end, files
from broker.cli.running import AS_JSON, DATA
from broker.domain import moments
from broker.settings import find

NEAR_DAYS: Final = 21
"""As the alert `CertificateEnding` has it."""
WRONG: Final = 3


@click.command("certificates")
@DATA
@AS_JSON
def command(data: Path | None, *, as_json: bool) -> None:
    """Name each certificate, its file and its end; exit 3 when one ends within three weeks or cannot be read."""
    now, near = datetime.now(UTC), False
    named = files(find(data))
    if not named:
        click.echo("the settings name no certificate", err=True)
    for name, path in named.items():
        ends = datetime.fromtimestamp(end(path, bundle=name.endswith(BUNDLE)), UTC)
        days = (ends - now).days
        near |= days < NEAR_DAYS
        said = {"certificate": name, "file": str(path), "ends": moments.text(ends), "days": days}
        click.echo(json.dumps(said) if as_json else f"{name}: {path} ends {ends:%Y-%m-%d %H:%M} UTC, in {days} days")
    if near:
        raise SystemExit(WRONG)
