"""The job that every Python peer does: decode, agreement filter, KLE look-up, one row. And what it tells the bench.

Where things are comes in `PEER_*` variables; the bench sets them. A peer says `fetching` once it has its partitions and
`done` once everything is committed, one JSON line each; then it waits, to be measured, until its input is closed.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import psycopg

KAFKA = os.environ["PEER_KAFKA"]
DATABASE = os.environ["PEER_DATABASE"]
TOPIC = os.environ["PEER_TOPIC"]
GROUP = os.environ["PEER_GROUP"]
EVENTS = int(os.environ["PEER_EVENTS"])

HERE = Path(__file__).parent
UPSERT = (HERE / "upsert.sql").read_bytes()
Row = tuple[Any, ...]

_SCHEMA = fastavro.parse_schema(json.loads((HERE.parents[2] / "schemas" / "case_event.avsc").read_text()))
_HEADER = 5


def rows() -> Callable[[bytes], Row | None]:
    """What makes a row of a record's value, or None where no agreement or no KLE number covers the event."""
    with psycopg.connect(DATABASE) as connection:
        senders = set(connection.execute("SELECT authority, system FROM sender_agreement").fetchall())
        titles: dict[str, str] = dict(connection.execute("SELECT number, title FROM kle_subject").fetchall())

    def row(value: bytes) -> Row | None:
        body = io.BytesIO(value)
        body.seek(_HEADER)
        event: Any = fastavro.schemaless_reader(body, _SCHEMA, None)
        kle = event["classification"]["kle"]
        kle_title = titles.get(kle)
        if kle_title is None or (event["authority"], event["system"]) not in senders:
            return None
        properties = event["properties"]
        citizen = next((p["id"] for p in event["parties"]["items"] if p["role"] == "PRIMARY"), None)
        return (
            event["authority"],
            event["system"],
            event["case_id"],
            event["registered_at"],
            properties["user_key"],
            properties["title"],
            kle,
            kle_title,
            event["progress"]["items"][-1]["state"],
            citizen,
            event["access"]["hidden_from_citizen"],
            properties["link"],
        )

    return row


def fetching() -> None:
    """The partitions are ours, fetching begins."""
    print('{"event": "fetching"}', flush=True)


def done() -> None:
    """Everything is committed. Returns when the bench has looked."""
    print('{"event": "done"}', flush=True)
    sys.stdin.read()
