"""Confluent framing: a zero byte, the schema id in four, then plain Avro. No I/O but through the schema source.

The bundled schemas carry fixed ids, so a worker runs without the registry; others are asked for once and kept.
"""

import io
import json
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

import fastavro
from fastavro.types import Schema

from broker.stream import avro

MAGIC: Final = b"\x00"
HEADER: Final = struct.Struct(">bI")
UNKNOWN_S: Final = 5.0
"""For so long the registry is not asked again for a schema that it has not: a batch may be full of them."""
MOST_UNKNOWN: Final = 1000

# Ids of the bundled schemas; the registry is seeded with the same ones and never gives them to another.
# An id means one text for ever: 3 was the first text of overview_entry.
BUNDLED: Final = {"case_event": 1, "rejection": 2, "overview_entry": 6, "document_event": 4, "consent_event": 5}


class Undecodable(Exception):  # noqa: N818 - a verdict on bytes, not a fault of ours
    """The bytes are no event: the detail says why, and never quotes them."""


class UnknownSchema(Undecodable):
    """The registry has answered that it has no schema of that id."""


@cache
def schema_text(name: str) -> str:
    """The bundled schema's JSON, as registered."""
    return files("schemas").joinpath(f"{name}.avsc").read_text(encoding="utf-8")


@cache
def schema(name: str) -> Schema:
    """The bundled schema, parsed."""
    return fastavro.parse_schema(json.loads(schema_text(name)))


@cache
def _node(name: str) -> avro.Node | None:
    return avro.node_of(json.loads(schema_text(name))) if avro.COMPILED else None


def encode(name: str, value: Mapping[str, Any]) -> bytes:
    """One framed value of a bundled schema. Raises ValueError when it does not fit."""
    node = _node(name)
    if node is not None:
        with suppress(TypeError, KeyError, ValueError, OverflowError):
            return avro.write(node, HEADER.pack(0, BUNDLED[name]), value)
    # The library has the last word on what the compiled codec refuses.
    out = io.BytesIO()
    out.write(HEADER.pack(0, BUNDLED[name]))
    try:
        fastavro.schemaless_writer(out, schema(name), value)
    except (TypeError, KeyError, AttributeError, OverflowError, struct.error) as error:
        raise ValueError(f"does not fit {name}") from error
    return out.getvalue()


class Decoder:
    """Reads framed values of one bundled schema, whatever schema they were written with.

    fetch: schema id -> its JSON text, or None when the registry says that there is none. May raise when the
    registry is out of reach: then the value is neither good nor bad yet.
    """

    def __init__(self, name: str, fetch: Callable[[int], str | None]) -> None:
        """Knows the bundled schema from the start."""
        self.name = name
        self._fetch = fetch
        self._bundled = HEADER.pack(0, BUNDLED[name])
        self._node = _node(name)
        self._writers: dict[int, Schema | None] = {BUNDLED[name]: None}
        self._unknown: dict[int, float] = {}

    def decode(self, value: bytes | None) -> dict[str, Any]:
        """One value. Raises Undecodable; what `fetch` raises passes through."""
        if value is None:
            raise Undecodable("the value is null")
        node = self._node
        if node is not None and value.startswith(self._bundled):
            try:
                return cast("dict[str, Any]", avro.read(node, value, HEADER.size))
            except ValueError:
                pass  # the library has the last word
        if len(value) < HEADER.size or value[:1] != MAGIC:
            raise Undecodable("not in Confluent framing: no magic byte and schema id")
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id not in self._writers:
            if self._unknown.get(schema_id, 0.0) > time.monotonic():
                raise UnknownSchema(f"the registry has no schema {schema_id}")
            self._writers[schema_id] = self._learn(schema_id)
        writer = self._writers[schema_id]
        reader = schema(self.name)
        body = io.BytesIO(value)
        body.seek(HEADER.size)
        try:
            record = fastavro.schemaless_reader(
                body, reader if writer is None else writer, None if writer is None else reader
            )
        except Exception as error:  # noqa: BLE001 - hostile bytes raise whatever they hit; all mean the same
            raise Undecodable(f"not Avro of schema {schema_id}: {type(error).__name__}") from None
        if body.tell() != len(value):
            raise Undecodable("bytes are left over after the record")
        if not isinstance(record, dict):
            raise Undecodable("the schema is no record")
        return record

    def _learn(self, schema_id: int) -> Schema:
        text = self._fetch(schema_id)
        if text is None:
            if len(self._unknown) >= MOST_UNKNOWN:
                self._unknown.clear()
            self._unknown[schema_id] = time.monotonic() + UNKNOWN_S
            raise UnknownSchema(f"the registry has no schema {schema_id}")
        try:
            return fastavro.parse_schema(json.loads(text))
        except Exception as error:
            raise UnknownSchema(f"schema {schema_id} cannot be read") from error
