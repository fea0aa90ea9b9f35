"""Load, consents, searches and streams at once while things break: nothing is lost, doubled, or shown too long.

At a size that fits the suite; `sagsbro bench soak` does it for half an hour.
"""

from pathlib import Path

import pytest

from ops.bench.soak import CASES, CITIZENS, OURS, Scale, run


@pytest.mark.timeout(420)
def test_what_stands_and_what_was_seen_equals_what_was_sent_and_consented_to(tmp_path: Path) -> None:
    report = run(tmp_path / "data", Scale(minutes=0.5, rate=40, seed=11, fault_every=7.5, settle_s=240))
    assert report.wrong == []
    assert report.sent == 1200
    # With this seed the first two, the second of them when half of the time is left.
    assert {"kill -9 the API", "kill -9 PostgreSQL"} <= {fault.what for fault in report.faults}
    # More than it takes to know that every stream is open.
    assert report.withdrawn > CITIZENS
    assert report.told["entry"] > CITIZENS * CASES
    assert report.told["gone"] > 0
    assert all(row.judged > 0 for row in report.searches)
    assert {row.process for row in report.memory} == {*OURS, "kafka", "postgres"}
