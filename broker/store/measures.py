"""What the database knows for the metrics of all processes together."""

from collections import Counter
from typing import Any

import psycopg

from broker.domain.reconcile import DIFFERENCES
from broker.metrics import Measures, system_label
from broker.store import outbox
from broker.store.database import query

Connection = psycopg.Connection[Any]


def read(connection: Connection) -> Measures:
    """All of it now. Agreements are few; open rejections are counted one by one, so this is not asked all the time."""
    (unsealed,) = connection.execute(query("measure_log")).fetchone() or (0.0,)
    (purging,) = connection.execute(query("measure_purges")).fetchone() or (0.0,)
    return Measures(
        outbox={(): outbox.depth(connection)},
        sources={(authority, system): at for authority, system, at in connection.execute(query("measure_sources"))},
        **_rejections(connection),
        agreements={tuple(row): 1 for row in connection.execute(query("measure_agreements"))},
        **_reconciliations(connection),
        unsealed={(): unsealed},
        purging={(): max(0.0, purging)},
    )


def _reconciliations(connection: Connection) -> dict[str, dict[tuple[str, ...], float]]:
    """By the fields of `Measures`."""
    made: dict[str, dict[tuple[str, ...], float]] = {"reconciled": {}, "digests": {}, "reconciled_at": {}}
    for authority, system, at, here, there, *counts in connection.execute(query("measure_reconciliations")):
        made["reconciled_at"][authority, system] = at
        made["digests"] |= {(authority, system, "here"): here, (authority, system, "there"): there}
        for kind, count in zip(DIFFERENCES, counts, strict=True):
            made["reconciled"][authority, system, kind] = float(count)
    return made


def _rejections(connection: Connection) -> dict[str, Counter[tuple[str, ...]]]:
    """By the fields of `Measures`. Of what anybody may have called a system, the label has the known ones only."""
    made: dict[str, Counter[tuple[str, ...]]] = {"rejections": Counter(), "rejected": Counter()}
    for system, code, waiting, come in connection.execute(query("measure_rejections")):
        made["rejections"][system_label(system), code] += waiting
        made["rejected"][system_label(system), code] += come
    return made
