"""`sagsbro setup`: what must be there before services start: schema, topics, bundled schemas, first positions.

`up` does it by itself; where services are started one by one, this is done before them.
"""

import click
import psycopg
from confluent_kafka import KafkaException

from broker.logs import tell
from broker.settings import Settings
from broker.store import positions, registry
from broker.store.database import connect, migrate
from broker.store.schema import Phase, SchemaRefused
from broker.stream.clients import confluent_options, refusal
from broker.stream.cluster import admin, logs, make_topics, partitions_of
from broker.stream.topics import READ_BY_WORKERS, TOPICS


@click.command()
@click.option("--pre", "phase", flag_value=Phase.PRE.value, help="Upgrade: before any process of the new release.")
@click.option("--post", "phase", flag_value=Phase.POST.value, help="Upgrade: after the last of the old one has ended.")
def setup(phase: str | None) -> None:
    """Make or bring up to date the schema, the topics, the bundled schemas and the first positions.

    With neither option everything is done at once: only while nothing runs.
    """
    settings = Settings()
    try:
        prepare(settings, Phase(phase or Phase.ALL))
    except SchemaRefused as why:
        raise click.ClickException(str(why)) from None
    except psycopg.OperationalError as error:
        raise click.ClickException(f"database: {str(error).strip()}") from None
    except KafkaException as error:
        raise click.ClickException(refusal(settings) or f"Kafka does not answer ({error.args[0].name()})") from None


command = setup


def prepare(settings: Settings, phase: Phase = Phase.ALL) -> None:
    """Idempotent; several at once do no harm. Raises psycopg.Error, KafkaException or SchemaRefused."""
    migrate(settings.dsn, lambda name: tell("migrated", name=name), phase)
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
    setup()
