"""The worker process: Faust runs the stream, the database says where it stands. Crash-only."""

import asyncio
import gc
import os
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import faust
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException

from broker.logs import tell
from broker.processing.batching import Batch, Transport
from broker.processing.documents import work
from broker.processing.lanes import SESSIONS, Lanes
from broker.processing.watchdog import watch
from broker.scrape import serve
from broker.settings import Settings
from broker.stream import avro
from broker.stream.clients import aiokafka_options, refusal
from broker.stream.topics import CONSENTS, DOCUMENT_EVENTS, READ_BY_WORKERS

GC_THRESHOLDS: Final = (200_000, 20, 20)
IN_ONE_TRANSACTION: Final = {CONSENTS.name: 1000, DOCUMENT_EVENTS.name: 1000}
"""Each of these may touch hundreds of entries, which nobody else writes until it has committed."""


class AsItIs(faust.Schema):  # type: ignore[misc]
    """Batches are not decoded by Faust."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """Batches have no key."""
        del app
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The batch itself."""
        del app
        return message.value


class App(faust.App):  # type: ignore[misc]
    """A Faust app that knows who keeps the positions."""

    keeper: Lanes
    kafka_options: dict[str, Any]

    def _crash(self, reason: BaseException) -> None:
        """Any part of Faust that crashes takes the process with it: half a worker is worse than none."""
        tell("crashed", error=type(reason).__name__)
        os._exit(1)

    def owned(self, topic: str) -> set[int]:
        """The partitions of a topic that are ours."""
        return {tp.partition for tp in self.keeper.owned() if tp.topic == topic}

    def waiting(self, topic: str) -> set[int]:
        """Those whose batch waits for the world to come back."""
        return {tp.partition for tp in self.keeper.waiting.copy() if tp.topic == topic}


def credentials(options: Mapping[str, Any]) -> Any:
    """The same in Faust's words: its producer and its own look at the cluster are not ours to make."""
    context, mechanism = options.get("ssl_context"), options.get("sasl_mechanism")
    if mechanism is not None:
        user, password = options.get("sasl_plain_username"), options.get("sasl_plain_password")
        return faust.SASLCredentials(mechanism=mechanism, username=user, password=password, ssl_context=context)
    return None if context is None else faust.SSLCredentials(context=context)


def build(settings: Settings) -> App:
    """Wire one worker together."""
    options = aiokafka_options(settings)
    app = App(
        settings.consumer_group,
        broker=[f"kafka://{address}" for address in settings.kafka.split(",")],
        datadir=tempfile.mkdtemp(prefix="sagsbro-faust-"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        stream_buffer_maxsize=4,
        stream_wait_empty=False,
        broker_commit_interval=5.0,
        broker_request_timeout=30.0,
        broker_session_timeout=10.0,
        processing_guarantee="at_least_once",
        autodiscover=False,
        broker_credentials=credentials(options),
    )
    app.kafka_options = options
    app.transport = Transport(app.conf.broker_consumer, app)
    executor = ThreadPoolExecutor(SESSIONS, thread_name_prefix="lane")

    async def project(batches: faust.Stream[Batch]) -> None:
        async for batch in batches:
            await app.keeper.put(batch)

    for topic in READ_BY_WORKERS:
        app.agent(app.topic(topic.name, schema=AsItIs()), name=topic.name)(project)

    @app.on_before_shutdown.connect  # type: ignore[untyped-decorator]
    async def finish(*_: object, **__: object) -> None:
        tell("stopping")
        await app.keeper.stop()

    app.keeper = Lanes(work(settings), executor, most=IN_ONE_TRANSACTION)
    return app


def run(settings: Settings) -> None:
    """Work until told to stop; any other end is a crash, and whoever started it starts it again."""
    serve(settings, "worker")
    # A batch is many thousands of values without a cycle: looking for any costs as much as the work.
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)

    async def main() -> None:
        app = build(settings)
        for topic in READ_BY_WORKERS:
            watch(settings, topic.name, partial(app.owned, topic.name), partial(app.waiting, topic.name))
        tell("started", compiled=avro.COMPILED)
        worker = app.Worker(
            loglevel="ERROR",
            override_logging=False,
            redirect_stdouts=False,
            quiet=True,
            loop=asyncio.get_running_loop(),
        )
        worker.spinner = None
        await worker.start()

    try:
        asyncio.run(main())
    except (KafkaError, KafkaException) as why:
        tell("kafka_unreachable", error=type(why).__name__, because=refusal(settings))
        os._exit(1)  # the watchdogs' clients are in their threads still: an orderly end may crash in them
    tell("stopped")
