"""What happens by the date alone: agreements that begin or end, dispensations that are over, entries kept long enough.

A day begins at midnight UTC. Whoever reads judges agreements by the day at once; what needs a mark, a version or a
deletion is done here, once for each day, also for days on which nothing ran.
"""

from collections.abc import Container
from datetime import date
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from broker import logs
from broker.domain import transition
from broker.domain.agreement import ACCEPTING, AgreementState
from broker.domain.transition import Past, Step, Who
from broker.store.database import query
from broker.store.reference import ITSELF, KEPT_AFTER_END, SENDERS

Connection = psycopg.Connection[Any]
TURNED: Final = "the delimitation of another day"
"""Why a source is asked again."""


def turn(connection: Connection, day: date) -> bool:
    """Act on every day up to and with this one that has not been acted on; False when there was none."""
    row = connection.execute("SELECT day FROM clock").fetchone()
    if row is None or row[0] >= day:
        return False
    with connection.transaction():
        connection.execute(query("change_revision"))
        ((after,),) = connection.execute("SELECT day FROM clock FOR UPDATE").fetchall()
        connection.execute("UPDATE clock SET day = greatest(day, %s)", [day])
        asked = {"after": after, "day": day, "kept_days": KEPT_AFTER_END.days}
        swept = connection.execute(query("clock_sweeps"), asked).fetchall()
        _ask_again(connection, {authority for kind, authority in swept if kind == "leave"})
        lapsed = [_lapse(connection, row, day) for row in _due(connection, day)]
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
    logs.tell("day_turned", day=day.isoformat(), sweeps=len(swept), dispensations=sum(lapsed))
    return True


def _ask_again(connection: Connection, turned: Container[str]) -> None:
    """Of authorities whose delimitation turned: what it left out until now was not kept."""
    for _, body, *_ in connection.execute(SENDERS.every()).fetchall():
        if body["authority"] in turned and body["state"] in ACCEPTING:
            asked = {name: body[name] for name in SENDERS.key} | {"kle": sorted(body["kle"]), "reason": TURNED}
            connection.execute(query("ask_again"), asked)


def _due(connection: Connection, day: date) -> list[tuple[Any, ...]]:
    return connection.execute(query("due_dispensations"), {"day": day, "way": list(transition.WAY)}).fetchall()


def _lapse(connection: Connection, row: tuple[Any, ...], day: date) -> bool:
    version, before, reached = row
    past = Past(None if reached is None else AgreementState(reached))
    after = transition.lapsed(before, past)
    if not isinstance(transition.step(before, after, past, Who.SYSTEM, day), Step):
        return False
    columns = (*(before[name] for name in SENDERS.key), version + 1, Jsonb(after), ITSELF, Who.SYSTEM)
    connection.execute(SENDERS.insert(), columns)
    return True
