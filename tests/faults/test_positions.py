"""A worker whose database and log do not belong together stops, and says why and what to do."""

import json
import subprocess
import sys

import psycopg
from confluent_kafka.admin import AdminClient

from broker.domain.identity import has_cpr
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import make_topics
from broker.stream.topics import CASE_EVENTS, READ_BY_WORKERS
from ops.embedded.instance import Instance

Parts = tuple[Instance, Settings]


def refusal() -> str:
    """Start one worker, let it end by itself; the detail it gave."""
    worker = subprocess.run(
        [sys.executable, "-m", "broker.cli", "worker"], capture_output=True, text=True, timeout=90, check=False
    )
    assert worker.returncode == 3, worker.stderr
    assert not has_cpr(worker.stderr)
    lines = [json.loads(line) for line in worker.stderr.splitlines() if line.startswith("{")]
    (refused,) = [line for line in lines if line["event"] == "position_refused"]
    detail: str = refused["detail"]
    assert "sagsbro positions" in detail
    return detail


def change(settings: Settings, statement: str) -> None:
    with connect(settings.dsn, "test") as connection:
        changed = connection.execute(statement.encode())
        assert changed.rowcount


def test_a_position_outside_the_log_another_cluster_and_a_topic_made_anew_are_refused(parts: Parts) -> None:
    _, settings = parts
    change(settings, "UPDATE position SET next_offset = 12345 WHERE partition = 2")
    assert "12345 is outside the log, which has 0 to 0" in refusal()
    change(settings, "UPDATE position SET next_offset = 0")

    change(settings, "UPDATE position SET cluster_id = 'elsewhere' WHERE partition = 1")
    assert "from cluster elsewhere" in refusal()
    with connect(settings.dsn, "test") as connection:
        connection.execute(
            "UPDATE position SET cluster_id = (SELECT min(cluster_id) FROM position WHERE partition = 0)"
        )

    _make_anew(AdminClient(confluent_options(settings)), settings)
    assert "made anew" in refusal()


def _make_anew(client: AdminClient, settings: Settings) -> None:
    client.delete_topics([CASE_EVENTS.name])[CASE_EVENTS.name].result()
    while CASE_EVENTS.name in client.list_topics(timeout=10).topics:
        pass
    assert make_topics(client, [CASE_EVENTS], settings.replication) == [CASE_EVENTS.name]


def test_positions_of_partitions_that_were_never_read_begin_at_the_start_of_the_log(parts: Parts) -> None:
    _, settings = parts
    with psycopg.connect(settings.dsn) as connection:
        rows = connection.execute("SELECT topic, partition, next_offset FROM position ORDER BY 1, 2").fetchall()
    assert rows == [(topic.name, n, 0) for topic in READ_BY_WORKERS for n in range(topic.partitions)]
