"""Every topic in one table: name, key, how long it is kept. Pure."""

from dataclasses import dataclass, field
from typing import Final

DAY = 86_400_000
HOUR = 3_600_000


@dataclass(frozen=True, slots=True)
class Topic:
    """`subject`: the schema file behind its values, registered as `<name>-value`; None for plain JSON."""

    name: str
    partitions: int
    subject: str | None
    config: dict[str, str] = field(default_factory=dict)
    sparse: bool = False
    """Few entries are ever in it: it is known which, and no other gets a tombstone."""


LARGEST_VALUE: Final = 4 * 1024 * 1024
"""Of what the publisher sends, in bytes."""
_OVERVIEW = {
    "max.message.bytes": str(LARGEST_VALUE),
    "cleanup.policy": "compact",
    "segment.ms": str(HOUR),
    "max.compaction.lag.ms": str(DAY),
    "delete.retention.ms": str(7 * DAY),
    "min.cleanable.dirty.ratio": "0.1",
}

_EVENTS = {
    "retention.ms": str(35 * DAY),
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(2 * 1024 * 1024),
}

CASE_EVENTS: Final = Topic("sagsbro.case-events.v1", 6, "case_event", _EVENTS)
DOCUMENT_EVENTS: Final = Topic("sagsbro.document-events.v1", 3, "document_event", _EVENTS)
CONSENTS: Final = Topic(
    "sagsbro.consents.v1",
    3,
    "consent_event",
    {"retention.ms": str(35 * DAY), "message.timestamp.type": "LogAppendTime"},
)
REJECTIONS: Final = Topic(
    "sagsbro.rejections.v1", 3, "rejection", {"retention.ms": str(30 * DAY), "max.message.bytes": str(LARGEST_VALUE)}
)
OVERVIEWS: Final = {
    name: Topic(f"sagsbro.overview.{name}.v1", 6, "overview_entry", _OVERVIEW, sparse=sparse)
    for name, sparse in (("sapa", False), ("borgerblikket", True), ("hoi", True))
}
ANCHORS: Final = Topic("sagsbro.access-log-anchors.v1", 1, None, {"retention.ms": "-1"})

READ_BY_WORKERS: Final = (CASE_EVENTS, CONSENTS, DOCUMENT_EVENTS)
TOPICS: Final = (*READ_BY_WORKERS, REJECTIONS, *OVERVIEWS.values(), ANCHORS)
