"""Workers and publishers killed, stopped and continued, Kafka and PostgreSQL restarted: nothing lost, nothing doubled.

At a size that fits the suite; `sagsbro bench faults` does it at full size with three seeds.
"""

from pathlib import Path

import pytest

from ops.bench.faults import Scale, run


@pytest.mark.timeout(420)
def test_the_table_and_the_topics_equal_what_was_sent(tmp_path: Path) -> None:
    report = run(tmp_path / "data", 11, Scale(events=8_000, kills=3, pause_s=2.0))
    assert report.wrong == []
    assert report.kills >= 2
    assert report.worker_exits >= report.kills
