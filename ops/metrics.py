"""`ops/metrics.md`, made from the code: `python -m ops.metrics > ops/metrics.md`. A test keeps the two equal."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.registry import Collector

from broker import metrics
from broker.metrics import TOLD_BY, Kept

_HEAD: Final = """# What is measured

Made from the code by `python -m ops.metrics > ops/metrics.md`.

The API serves `/metrics` on its own port; each worker and publisher serves `/metrics` and `/healthz` on
`SAGSBRO_METRICS_HOST` (default 127.0.0.1) and `SAGSBRO_METRICS_PORT` (default 0: not at all), a port of its own for
each process of a machine. `up` and `demo` choose free ones; the line that says `ready` names them all.

Labels come from closed sets: known systems (an unknown one is `unknown`), municipalities with an agreement, and the
codes, states, overviews and reasons of the code. No case, no person, no text of a sender.

Add up over all processes: nothing is told twice. What is marked `one publisher` is read in the database by whichever
publisher holds the housekeeping lock, every 5 s or, where reading takes long, up to every 30 s; the others leave it
out, and so does that one while the database is away. During a rebalance a partition's lag may be told by two workers
for a second: take `max by (topic, partition)`.

| metric | kind | labels | told by | what |
|---|---|---|---|---|"""
_TAIL: Final = """
Each process also tells `process_*` of itself: memory, CPU time, open files, start time."""


def page() -> str:
    """The whole text."""
    return "\n".join([_HEAD, *_rows(), _TAIL, ""])


def collectors() -> Iterator[Collector]:
    """Every metric of the code, in its order."""
    return (made for made in vars(metrics).values() if isinstance(made, Counter | Gauge | Histogram | Kept))


def _rows() -> Iterator[str]:
    for collector in collectors():
        if isinstance(collector, Kept):
            for row in collector.rows:
                yield _row(row.name, "gauge", row.labels, "one publisher", row.documentation)
        else:
            (family,) = collector.collect()
            name = f"{family.name}_total" if isinstance(collector, Counter) else family.name
            labels = collector._labelnames  # type: ignore[attr-defined]  # noqa: SLF001 - said nowhere else
            yield _row(name, family.type, labels, ", ".join(_tellers(collector)), _with_buckets(collector))


def _tellers(collector: Collector) -> Iterator[str]:
    return (process for process, told in TOLD_BY.items() if collector in told)


def _with_buckets(collector: Collector) -> str:
    (family,) = collector.collect()
    if not isinstance(collector, Histogram):
        return family.documentation
    bounds = ", ".join(f"{bound:g}" for bound in collector._upper_bounds[:-1])  # noqa: SLF001 - said nowhere else
    return f"{family.documentation} Buckets: {bounds}."


def _row(name: str, kind: str, labels: tuple[str, ...], told_by: str, what: str) -> str:
    shown = ", ".join(f"`{label}`" for label in labels) or "–"
    return f"| `{name}` | {kind} | {shown} | {told_by} | {what} |"


if __name__ == "__main__":
    print(page(), end="")
