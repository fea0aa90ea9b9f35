"""What commands share that send a sender's cases: who it is, its configuration, and a connection and a hand for it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg

from broker.api.core import FactsCache
from broker.cli.connector import read_config
from broker.cli.running import away, plain
from broker.domain.identity import is_cvr, is_system, without_cpr
from broker.intake import connector as installed
from broker.intake.connector import Connector, Source
from broker.intake.loading import FactsOf, Hand, LoadFailed
from broker.intake.verdicts import Sender
from broker.settings import Settings, find
from broker.store.database import conninfo
from broker.store.loading import Connection

T = TypeVar("T")

AUTHORITY = click.option("--authority", required=True, metavar="CVR", help="Whose cases they are.")
VENDOR = click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="As `connector run` has it: its table `vendor` says how the vendor's system is asked.",
)


class Sending:
    """One sender, as a command works for it."""

    def __init__(self, system: str, authority: str, data: Path | None) -> None:
        """Raises click.BadParameter."""
        if not is_system(system):
            raise click.BadParameter("no such sending system", param_hint="SYSTEM")
        if not is_cvr(authority):
            raise click.BadParameter("a CVR number has 8 digits", param_hint="--authority")
        self._data = data
        self.settings: Settings = find(data)
        self.source = Source(system, authority, self.settings.connector(authority, system))
        self.speaking: Connector | None = installed.load(system)
        self.facts_of: FactsOf = FactsCache().current

    def hand(self, connection: Connection) -> Hand:
        """What gives its events to Kafka."""
        sender = Sender(self.source.system, frozenset({self.source.authority}))
        return Hand(self.settings, connection, self.facts_of, sender)

    def polled(self, config: Path) -> tuple[Connector, dict[str, Any]]:
        """Its connector, and how the vendor's system is asked. Raises ClickException."""
        if self.speaking is None or self.speaking.poller is None or self.speaking.tells_changes_only:
            raise click.ClickException(f"{self.source.system} cannot be asked for all it has: it has to send files")
        vendor = read_config(config).get("vendor")
        if not isinstance(vendor, dict):
            raise click.ClickException("the configuration lacks vendor")
        return self.speaking, vendor

    def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """On the instance's database; what went wrong ends the command, and says no more than it may."""

        async def connected() -> T:
            dsn = conninfo(self.settings.dsn, "load")
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
                return await work(connection)

        try:
            return asyncio.run(connected())
        except LoadFailed as why:
            raise click.ClickException(str(why)) from None
        except psycopg.errors.LockNotAvailable:
            raise click.ClickException("the same load is under way in another process") from None
        except psycopg.OperationalError as error:
            raise away(self._data, error) from None
        except Exception as error:
            # A connector's own errors carry statuses and names only; ours are raised as they are.
            if not type(error).__module__.startswith("connectors."):
                raise
            raise click.ClickException(without_cpr(f"{type(error).__name__}: {error}")) from None


def show_line(said: dict[str, Any]) -> None:
    """One JSON value on one line."""
    click.echo(json.dumps(said, ensure_ascii=False, default=plain))
