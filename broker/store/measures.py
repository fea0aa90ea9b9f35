"""What the database knows for the metrics of all processes together."""

from collections import Counter
from typing import Any

import psycopg

from broker.metrics import Measures, system_label
from broker.store import outbox
from broker.store.database import query

Connection = psycopg.Connection[Any]


def read(connection: Connection) -> Measures:
    """All of it now. Agreements are few; open rejections are counted one by one, so this is not asked all the time."""
    unsealed, verified = connection.execute(query("measure_log")).fetchone() or (0.0, None)
    return Measures(
        outbox={(): outbox.depth(connection)},
        sources={(authority, system): at for authority, system, at in connection.execute(query("measure_sources"))},
        rejections=_rejections(connection),
        agreements={tuple(row): 1 for row in connection.execute(query("measure_agreements"))},
        unsealed={(): unsealed},
        verified={} if verified is None else {(): verified},
    )


def _rejections(connection: Connection) -> Counter[tuple[str, ...]]:
    """Of what anybody may have called a system, the label has the known ones only."""
    counted: Counter[tuple[str, ...]] = Counter()
    for system, code, number in connection.execute(query("measure_rejections")):
        counted[system_label(system), code] += number
    return counted
