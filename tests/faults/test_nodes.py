"""One of Kafka's three nodes killed, and one restarted in an orderly way: nothing lost, nothing doubled.

At a size that fits the suite; `sagsbro bench faults --node-kills 3` does it at full size.
"""

from pathlib import Path

import pytest

from ops.bench.faults import Scale, run


@pytest.mark.timeout(420)
def test_the_table_and_the_topics_equal_what_was_sent_to_three_nodes(tmp_path: Path) -> None:
    scale = Scale(events=4_000, kills=1, zombies=0, restarts=0, pause_s=2.0, node_kills=1)
    report = run(tmp_path / "data", 12, scale)
    assert report.wrong == []
    assert (report.sent, report.node_kills) == (4_000, 1)
