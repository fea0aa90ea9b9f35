"""Every metric there is, with labels from closed sets: never a case, a person or a text of a sender.

Each process tells only what it knows itself. What the database knows for all of them is told by one process alone,
see `Kept`: so sums over processes are right, however many there are.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.domain.identity import is_system

Process = Literal["api", "worker", "publisher"]

# None of them is in the library's own registry: a process would show those of others as 0.
EVENTS: Final = Counter(
    "sagsbro_events_total",
    "Events by what became of them: at intake what was refused or delimited, in workers what was projected.",
    ["system", "outcome"],
    registry=None,
)
INTAKE_SECONDS: Final = Histogram(
    "sagsbro_intake_seconds",
    "One request of events, from the whole of it being here to Kafka's acknowledgement and the receipt's commit.",
    registry=None,
)
EVENT_TO_VISIBLE: Final = Histogram(
    "sagsbro_event_to_visible_seconds",
    "From received to committed; one observation for each millisecond of arrivals.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=None,
)
LAG: Final = Gauge(
    "sagsbro_projection_lag_events",
    "Events not yet projected, of the partitions that this worker has; nothing while Kafka or the database is away.",
    ["topic", "partition"],
    registry=None,
)
WORKER_POSITION: Final = Gauge(
    "sagsbro_worker_position_timestamp_seconds",
    "When this worker last moved a position; 0 before the first time.",
    registry=None,
)
ACCESS: Final = Counter(
    "sagsbro_access_total",
    "Reads of an overview; the reason is empty where something was permitted.",
    ["overview", "decision", "reason"],
    registry=None,
)
PUBLISH_SECONDS: Final = Histogram(
    "sagsbro_entry_to_topic_seconds",
    "From the commit that changed an entry, or what may be seen of it, to the commit in the overview topics.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=None,
)
CONSENT_PURGE: Final = Histogram(
    "sagsbro_consent_purge_seconds",
    "From a change in the register of persons, or the moment the clock made one, to the commit in the overview topics.",
    buckets=(0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60),
    registry=None,
)
NOT_PUBLISHABLE: Final = Gauge(
    "sagsbro_entries_not_publishable",
    "Entries of which no publication could be made: tombstones until they are marked anew; by shard of the outbox.",
    ["shard"],
    registry=None,
)
BREAK_GLASS: Final = Counter(
    "sagsbro_break_glass_total",
    "Reads without the consent that was missing: look at each.",
    ["overview"],
    registry=None,
)
SEARCH_SECONDS: Final = Histogram(
    "sagsbro_overview_search_seconds", "One search, its log included.", ["overview"], registry=None
)

ALARMS: Final = Counter(
    "sagsbro_access_alarms_total",
    "Alarms that reads have raised: of somebody on a watch list, of a case at the highest level, of many citizens.",
    ["rule"],
    registry=None,
)

CERTIFICATE_END: Final = Gauge(
    "sagsbro_certificate_end_timestamp_seconds",
    "When a certificate ends that the settings of this process name; 0 when it cannot be read.",
    ["certificate"],
    registry=None,
)


class Row(NamedTuple):
    """One gauge out of the database; `field` of `Measures` has its values."""

    name: str
    documentation: str
    labels: tuple[str, ...]
    field: str


KEPT: Final = (
    Row("sagsbro_outbox_depth", "Entries whose publication may be out of date.", (), "outbox"),
    Row(
        "sagsbro_source_last_event_timestamp_seconds",
        "The newest registration, by the source's clock; only of systems with an agreement.",
        ("authority", "system"),
        "sources",
    ),
    Row("sagsbro_rejections_open", "Rejections that wait for their sender.", ("system", "code"), "rejections"),
    Row(
        "sagsbro_rejections_last_hour",
        "Rejections of the last hour, whatever has become of them since.",
        ("system", "code"),
        "rejected",
    ),
    Row(
        "sagsbro_consent_purge_waiting_seconds",
        "How long the oldest change in the register of persons has waited to be published; 0 when none waits.",
        (),
        "purging",
    ),
    Row(
        "sagsbro_agreement_state",
        "1 for the state that a sender agreement is in; other states are absent.",
        ("authority", "system", "state"),
        "agreements",
    ),
    Row(
        "sagsbro_reconcile_cases",
        "Cases that differ between the newest manifest of a source and the index: missing, superfluous, older, newer.",
        ("authority", "system", "kind"),
        "reconciled",
    ),
    Row(
        "sagsbro_reconcile_digest",
        "52 bits over every case and when it was registered, here and there; equal where nothing differs.",
        ("authority", "system", "side"),
        "digests",
    ),
    Row(
        "sagsbro_reconcile_timestamp_seconds",
        "When a source was last compared.",
        ("authority", "system"),
        "reconciled_at",
    ),
    Row(
        "sagsbro_access_log_unsealed_seconds",
        "How long the oldest row of the log of reads has waited for the sealer.",
        (),
        "unsealed",
    ),
)
LOOKED_THROUGH: Final = (
    Row(
        "sagsbro_access_log_verified_timestamp_seconds",
        "When this publisher last found the log of reads whole; absent before the first time.",
        (),
        "whole",
    ),
    Row("sagsbro_access_log_flaws", "What was wrong with it when it was last looked through.", ("flaw",), "flaws"),
)
Values = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Measures:
    """What the database says at one time: label values -> value."""

    outbox: Values
    sources: Values
    rejections: Values
    agreements: Values
    reconciled: Values = field(default_factory=dict)
    digests: Values = field(default_factory=dict)
    reconciled_at: Values = field(default_factory=dict)
    unsealed: Values = field(default_factory=dict)
    rejected: Values = field(default_factory=dict)
    purging: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verified:
    """What one process has found in the log of reads; never out of the database, whose owner is watched too."""

    whole: Values
    flaws: Values


class Kept(Collector):
    """What one process finds out for all; says nothing while it does not know.

    What it finds is told for `good_for_s` seconds and no longer: by then another process may tell newer ones.
    """

    GOOD_FOR_S: Final = 45.0

    def __init__(self, good_for_s: float = GOOD_FOR_S, rows: tuple[Row, ...] = KEPT) -> None:
        self.rows = rows
        self._good_for_s = good_for_s
        self._measures: Measures | Verified | None = None
        self._at = 0.0

    def tell(self, measures: Measures | Verified | None) -> None:
        """The newest; None: no longer ours to tell."""
        self._measures, self._at = measures, time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Called by the library at each scrape."""
        measures = self._measures
        known = measures is not None and time.monotonic() - self._at < self._good_for_s
        for row in self.rows:
            family = GaugeMetricFamily(row.name, row.documentation, labels=row.labels)
            for labels, value in getattr(measures, row.field).items() if known else ():
                family.add_metric(labels, value)
            yield family


SHARED: Final = Kept()
VERIFIED: Final = Kept(math.inf, LOOKED_THROUGH)
TOLD_BY: Final[Mapping[Process, tuple[Collector, ...]]] = {
    "api": (EVENTS, INTAKE_SECONDS, SEARCH_SECONDS, ACCESS, BREAK_GLASS, CERTIFICATE_END),
    "worker": (EVENTS, EVENT_TO_VISIBLE, LAG, WORKER_POSITION, CERTIFICATE_END),
    "publisher": (ALARMS, SHARED, VERIFIED, PUBLISH_SECONDS, NOT_PUBLISHABLE, CONSENT_PURGE, CERTIFICATE_END),
}


@cache
def registry(process: Process) -> CollectorRegistry:
    """What a process of that kind tells, its own memory and CPU time included."""
    made = CollectorRegistry()
    for collector in TOLD_BY[process]:
        made.register(collector)
    ProcessCollector(registry=made)
    return made


def system_label(system: str) -> str:
    """The system without its instance; what is no system of ours is counted as one."""
    return system.partition(":")[0] if is_system(system) else "unknown"
