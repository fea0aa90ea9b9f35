"""Whether schemas understand each other, as `avro.compatibility` judges it. Pure.

Backward: the new one reads what the earlier wrote. Forward: the earlier reads what the new one writes.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Final

import avro.schema
import fastavro
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

LARGEST_SCHEMA: Final = 64 * 1024


class InvalidSchemaError(ValueError):
    """The text is no Avro schema."""


class Level(StrEnum):
    """What a new version must be to the latest, or with TRANSITIVE to every earlier one."""

    NONE = "NONE"
    BACKWARD = "BACKWARD"
    BACKWARD_TRANSITIVE = "BACKWARD_TRANSITIVE"
    FORWARD = "FORWARD"
    FORWARD_TRANSITIVE = "FORWARD_TRANSITIVE"
    FULL = "FULL"
    FULL_TRANSITIVE = "FULL_TRANSITIVE"

    @property
    def transitive(self) -> bool:
        """Whether all earlier versions count."""
        return self.endswith("_TRANSITIVE")

    @property
    def backward(self) -> bool:
        """Whether what earlier versions wrote must be readable."""
        return self.startswith(("BACKWARD", "FULL"))

    @property
    def forward(self) -> bool:
        """Whether earlier versions must be able to read."""
        return self.startswith(("FORWARD", "FULL"))


def digest_of(text: str) -> bytes:
    """The same for texts that differ in blanks and in the order of their names only. Raises InvalidSchemaError."""
    try:
        parsed = json.loads(text)
        fastavro.parse_schema(parsed)
        plain = json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except Exception as error:  # a schema of a stranger breaks the parser in whatever way it likes
        raise InvalidSchemaError("no Avro schema") from error
    if "\\u0000" in plain:
        raise InvalidSchemaError("holds a zero character")
    _parsed(text)
    return hashlib.sha256(plain.encode()).digest()


def disagreements(level: Level, new: str, earlier: Sequence[str]) -> list[str]:
    """What stands between a new schema and the earlier ones, oldest first. Raises InvalidSchemaError."""
    judged = earlier if level.transitive else earlier[-1:]
    offered = _parsed(new)
    return [flaw for before in judged for flaw in _between(level, offered, _parsed(before))]


def _between(level: Level, new: Any, before: Any) -> Iterator[str]:
    if level.backward:
        yield from _unreadable(new, before, "the new schema cannot read what an earlier one wrote")
    if level.forward:
        yield from _unreadable(before, new, "an earlier schema cannot read what the new one writes")


def _unreadable(reader: Any, writer: Any, what: str) -> Iterator[str]:
    try:
        found = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
    except RecursionError:
        raise InvalidSchemaError("nested too deep") from None
    if found.compatibility is not SchemaCompatibilityType.compatible:
        yield f"{what}: {'; '.join(sorted(found.messages))} at {', '.join(sorted(found.locations))}"


def _parsed(text: str) -> Any:
    """Logical types are no part of the judgement, and unknown ones would only be warned of."""
    try:
        return avro.schema.parse(json.dumps(_without_logical(json.loads(text))))
    except Exception as error:
        raise InvalidSchemaError("no Avro schema") from error


def _without_logical(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _without_logical(value) for name, value in part.items() if name != "logicalType"}
    return [_without_logical(value) for value in part] if isinstance(part, list) else part
