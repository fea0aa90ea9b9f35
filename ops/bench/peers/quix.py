"""Quix Streams with a sink of its own: PostgreSQLSink always lets the last one read win, never the newest registered.

The sink is what Quix documents for such a case: a BatchingSink whose `write` gets a partition's batch at each commit.
"""

import psycopg
import simpler_job as job
from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

BATCH = 10_000
FETCH_BYTES = 4 * 1024 * 1024
seen = 0


class NewestWins(BatchingSink):  # type: ignore[misc]
    """One pipelined executemany for each batch."""

    def setup(self) -> None:
        """Called when the application starts."""
        self._connection = psycopg.connect(job.DATABASE)

    def write(self, batch: SinkBatch) -> None:
        """Write one partition's batch."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(job.UPSERT, [item.value for item in batch])

    def flush(self) -> None:
        """Write all of a checkpoint; Quix commits the offsets next."""
        super().flush()
        if seen == job.EVENTS:
            job.done()


class Measured(Application):  # type: ignore[misc]
    """Tells the bench."""

    def _on_assign(self, consumer: object, topic_partitions: list[object]) -> None:
        super()._on_assign(consumer, topic_partitions)
        if topic_partitions:
            job.fetching()


def count(*_: object) -> None:
    """Stop after the last one: stopping commits what is left."""
    global seen  # noqa: PLW0603 - a script
    seen += 1
    if seen == job.EVENTS:
        app.stop()


app = Measured(
    broker_address=job.KAFKA,
    consumer_group=job.GROUP,
    auto_offset_reset="earliest",
    auto_create_topics=False,
    commit_every=BATCH,
    commit_interval=1.0,
    on_message_processed=count,
    consumer_extra_config={"max.partition.fetch.bytes": FETCH_BYTES, "fetch.message.max.bytes": FETCH_BYTES},
    loglevel="ERROR",
)
topic = app.topic(job.TOPIC, key_deserializer="bytes", value_deserializer="bytes")
app.dataframe(topic).apply(job.rows()).filter(lambda row: row is not None).sink(NewestWins())

if __name__ == "__main__":
    app.run()
