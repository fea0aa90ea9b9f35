"""What must be there before services start: the database's schema, the topics, the bundled schemas, the positions.

`up` does it by itself; where services are started one by one, `python -m broker.cli.setup` does it before them.
"""

from broker.logs import tell
from broker.settings import Settings
from broker.store import positions, registry
from broker.store.database import connect, migrate
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs, make_topics, partitions_of
from broker.stream.topics import READ_BY_WORKERS, TOPICS


def prepare(settings: Settings) -> None:
    """Idempotent; several at once do no harm. Raises psycopg.Error or KafkaException."""
    migrate(settings.dsn, lambda name: tell("migrated", name=name))
    client = admin(confluent_options(settings))
    if made := make_topics(client, TOPICS, settings.replication):
        tell("topics_made", topics=made)
    with connect(settings.dsn, "setup") as connection:
        registry.seed(connection)
        first_positions(connection, settings)


def first_positions(connection: positions.Connection, settings: Settings) -> None:
    """Partitions that were never read begin at the log's start; what does not fit is left for the worker to refuse."""
    client = admin(confluent_options(settings))
    for topic in READ_BY_WORKERS:
        known = {partition for partition, *_ in positions.show(connection, topic.name)}
        new = [p for p in partitions_of(client, topic.name) if p not in known]
        for partition, log in logs(client, topic.name, new).items() if new else ():
            positions.put(connection, topic.name, partition, log, log.start)


if __name__ == "__main__":
    prepare(Settings())
