"""Every metric there is, with labels from closed sets: never a case, a person or a text of a sender."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from broker.domain.identity import is_system

EVENTS: Final = Counter("sagsbro_events_total", "Events by what became of them.", ["system", "outcome"])
EVENT_TO_VISIBLE: Final = Histogram(
    "sagsbro_event_to_visible_seconds",
    "From received to committed; one observation for each millisecond of arrivals.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
LAG: Final = Gauge("sagsbro_projection_lag_events", "Events not yet projected.", ["topic", "partition"])
WORKER_POSITION: Final = Gauge("sagsbro_worker_position_timestamp_seconds", "When this worker last moved a position.")
OUTBOX_DEPTH: Final = Gauge("sagsbro_outbox_depth", "Entries whose publication may be out of date.")
ACCESS: Final = Counter("sagsbro_access_total", "Reads of an overview.", ["overview", "decision", "reason"])
SEARCH_SECONDS: Final = Histogram("sagsbro_overview_search_seconds", "One search, its log included.", ["overview"])


def system_label(system: str) -> str:
    """The system without its instance; what is no system of ours is counted as one."""
    return system.partition(":")[0] if is_system(system) else "unknown"
