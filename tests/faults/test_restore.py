"""The database comes back from a backup that was taken under load, and the log is read on: nothing lost or doubled.

At a size that fits the suite; `sagsbro bench restore` does it at full size.
"""

from pathlib import Path

import pytest

from ops.bench.restore import run, run_log_lost


@pytest.mark.timeout(420)
def test_after_a_restore_table_topics_and_rejections_equal_what_was_sent(tmp_path: Path) -> None:
    report = run(tmp_path / "data", 12_000, 7)
    assert report.wrong == []
    assert 0 < report.read_after_restore < report.read_at_loss <= 12_000
    # What was published after the backup is known to nobody but the topic.
    assert report.topic_ahead > 0


@pytest.mark.timeout(420)
def test_after_the_log_was_lost_the_source_has_been_asked_and_the_topics_are_whole(tmp_path: Path) -> None:
    report = run_log_lost(tmp_path / "data", 2_000, 7)
    assert report.wrong == []
    assert report.unread > 0
    assert report.missing > 0
    assert report.older > 0
    assert report.published_again > 1_000
