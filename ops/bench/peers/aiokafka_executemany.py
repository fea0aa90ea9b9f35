"""aiokafka and psycopg: getmany, one executemany (pipelined) and commit for each poll, then the offsets."""

import asyncio

import aiokafka
import psycopg
import simpler_job as job
import uvloop

BATCH = 10_000
FETCH_BYTES = 4 * 1024 * 1024


class Listener(aiokafka.ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the bench."""

    async def on_partitions_revoked(self, revoked: set[aiokafka.TopicPartition]) -> None:
        """Nothing is under way between polls."""

    async def on_partitions_assigned(self, assigned: set[aiokafka.TopicPartition]) -> None:
        """Fetching begins."""
        if assigned:
            job.fetching()


async def main() -> None:
    """Read, write, commit, in turn; aiokafka fetches ahead meanwhile."""
    row_of, seen = job.rows(), 0
    consumer = aiokafka.AIOKafkaConsumer(
        bootstrap_servers=job.KAFKA,
        group_id=job.GROUP,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=BATCH,
        max_partition_fetch_bytes=FETCH_BYTES,
        fetch_max_bytes=4 * FETCH_BYTES,
    )
    consumer.subscribe([job.TOPIC], listener=Listener())
    async with await psycopg.AsyncConnection.connect(job.DATABASE) as connection, consumer:
        while seen < job.EVENTS:
            fetched = await consumer.getmany(timeout_ms=100)
            rows = [row for records in fetched.values() for r in records if (row := row_of(r.value)) is not None]
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(job.UPSERT, rows)
            await consumer.commit()
            seen += sum(map(len, fetched.values()))
        await asyncio.to_thread(job.done)


if __name__ == "__main__":
    uvloop.run(main())
