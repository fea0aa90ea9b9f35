"""Faust as its guide shows it: an agent, one event, one upsert."""

import asyncio
import os
import tempfile
from typing import Any

import faust
import psycopg
import simpler_job as job

app = faust.App(
    job.GROUP,
    broker=f"kafka://{job.KAFKA}",
    datadir=tempfile.mkdtemp(prefix="faust-"),
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    topic_allow_declare=False,
    web_enabled=False,
    # Three options that its documentation names for throughput.
    consumer_max_fetch_size=4 * 1024 * 1024,
    stream_wait_empty=False,
    stream_buffer_maxsize=16_384,
)
topic = app.topic(job.TOPIC, value_type=bytes)
row_of = job.rows()


@app.agent(topic)  # type: ignore[untyped-decorator]
async def index(values: faust.Stream[bytes]) -> None:
    """Upsert each event; the driver prepares the statement by itself."""
    seen = 0
    async with await psycopg.AsyncConnection.connect(job.DATABASE, autocommit=True) as connection:
        async for value in values:
            row = row_of(value)
            if row is not None:
                await connection.execute(job.UPSERT, row)
            seen += 1
            if seen == job.EVENTS:
                await asyncio.to_thread(job.done)
                os._exit(0)


@app.on_partitions_assigned.connect  # type: ignore[untyped-decorator]
async def assigned(*_: Any, **__: Any) -> None:
    """Tell the bench."""
    job.fetching()


async def main() -> None:
    """As `faust worker` does, without its web server and banner."""
    worker = app.Worker(loglevel="ERROR", quiet=True, redirect_stdouts=False, loop=asyncio.get_running_loop())
    worker.spinner = None
    await worker.start()


if __name__ == "__main__":
    asyncio.run(main())
