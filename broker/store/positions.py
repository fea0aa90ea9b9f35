"""Where the log continues: one row a partition, moved in the same transaction as what it produced."""

from collections.abc import Mapping
from typing import Any

import psycopg

from broker.domain.batch import Place
from broker.stream.cluster import Log

Connection = psycopg.Connection[Any]


class PositionRefused(Exception):  # noqa: N818 - a decision for an operator, not a fault
    """The database and the log do not belong together: reading on would lose or repeat something."""


def claim(connection: Connection, topic: str, logs: Mapping[int, Log]) -> dict[int, tuple[Place, int]]:
    """The place and next offset of each partition; one never read begins at the log's start. Raises PositionRefused."""
    for partition, log in sorted(logs.items()):
        connection.execute(
            "INSERT INTO position (topic, partition, cluster_id, topic_id, next_offset)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [topic, partition, log.cluster_id, log.topic_id, log.start],
        )
    claimed = {}
    for partition, cluster_id, topic_id, next_offset in show(connection, topic):
        if partition in logs:
            log = logs[partition]
            if (why := mismatch(cluster_id, topic_id, next_offset, log)) is not None:
                raise PositionRefused(f"{topic}/{partition}: {why}; see `sagsbro positions`")
            claimed[partition] = (Place(topic, log.topic_id, partition), next_offset)
    return claimed


def mismatch(cluster_id: str, topic_id: str, next_offset: int, log: Log) -> str | None:
    """Why a stored position does not fit a log, or None."""
    if cluster_id != log.cluster_id:
        return f"the position was read from cluster {cluster_id}, this is {log.cluster_id}"
    if topic_id != log.topic_id:
        return f"the topic was made anew: the position belongs to topic id {topic_id}, this is {log.topic_id}"
    if not log.start <= next_offset <= log.end:
        return f"the position {next_offset} is outside the log, which has {log.start} to {log.end}"
    return None


def show(connection: Connection, topic: str) -> list[tuple[int, str, str, int]]:
    """(partition, cluster id, topic id, next offset), in order."""
    return connection.execute(
        "SELECT partition, cluster_id, topic_id, next_offset FROM position WHERE topic = %s ORDER BY partition", [topic]
    ).fetchall()


def put(connection: Connection, topic: str, partition: int, log: Log, next_offset: int) -> None:
    """An operator's decision: read on from here in this log. What was said of later offsets is said anew."""
    connection.execute(
        "DELETE FROM outcome WHERE topic = %s AND partition = %s AND next_offset > %s", [topic, partition, next_offset]
    )
    connection.execute(
        "INSERT INTO position (topic, partition, cluster_id, topic_id, next_offset) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (topic, partition) DO UPDATE SET cluster_id = excluded.cluster_id,"
        " topic_id = excluded.topic_id, next_offset = excluded.next_offset, at = clock_timestamp()",
        [topic, partition, log.cluster_id, log.topic_id, next_offset],
    )
