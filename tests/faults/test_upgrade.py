"""A next release takes over while events flow, on a schema that both can use: nothing lost, doubled, or refused.

At a size that fits the suite; `sagsbro bench upgrade` does it at full size.
"""

from pathlib import Path

import pytest

from ops.bench.upgrade import MIGRATIONS, run

EXPANDS, CONTRACTS = MIGRATIONS


@pytest.mark.timeout(420)
def test_old_and_new_work_together_and_the_table_equals_what_was_sent(tmp_path: Path) -> None:
    report = run(tmp_path / "data", 60, 5)
    assert report.wrong == []
    assert 0 < report.together_at < report.ended_at < report.sent
    # The new release does not run on the old schema, nor the old one on what the new one has left of it.
    assert EXPANDS in report.too_early
    assert EXPANDS in report.out_of_order
    assert CONTRACTS in report.too_late
