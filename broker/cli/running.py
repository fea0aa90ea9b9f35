"""How a command finds the running instance, works on its database, and prints."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
from pydantic import ValidationError

from broker.domain import moments
from broker.domain.policy import Role
from broker.intake.pointers import flaw_of
from broker.settings import DEFAULT_DATA, Settings, find, is_running
from broker.store.database import conninfo
from broker.store.reference import NotYoursError, Putter, RegisterConflictError, TransitionRefusedError

T = TypeVar("T")
Connection = psycopg.AsyncConnection[Any]

DATA = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Where the running instance keeps its data. [default: .sagsbro]",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.argument("file", type=click.File("rb"))

# Whoever has the database's address may do all of it: the command line needs no token.
OWNER = Putter("command line", Role.ONBOARDING)


def on_database(data: Path | None, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do it on the instance's database; what was refused ends the command with its reason."""

    async def connected() -> T:
        dsn = conninfo(find(data).dsn, "command")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await work(connection)

    try:
        return asyncio.run(connected())
    except (TransitionRefusedError, RegisterConflictError, NotYoursError) as refused:
        raise click.ClickException(str(refused)) from None
    except psycopg.OperationalError as error:
        raise away(data, error) from None


def away(data: Path | None, error: Exception) -> click.ClickException:
    """Why nothing answers: mostly no instance is running, and no database is set that could stand in for one."""
    if is_running(data) or "database" in Settings().model_fields_set:
        return click.ClickException(f"the database or Kafka does not answer ({type(error).__name__})")
    return click.ClickException(
        f"no Sagsbro is running in {DEFAULT_DATA if data is None else data}: start one with `sagsbro up`,"
        " or name where one keeps its data with --data"
    )


def flaws(error: ValidationError, said: object) -> click.ClickException:
    """Where in what was said it is wrong, and what would be valid, without a word of it."""
    told = [flaw_of(flaw, said) for flaw in error.errors(include_input=False, include_url=False)]
    lines = [f"{pointer}: {detail}" for pointer, detail in told]
    return click.ClickException("not of the documented form:\n" + "\n".join(lines))


def plain(value: object) -> str:
    """What JSON has no form for."""
    return moments.text(value) if isinstance(value, datetime) else str(value)


def show(value: Any) -> None:
    """One JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False, default=plain))
