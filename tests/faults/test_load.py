"""A full load beside live events, its loader and workers killed: the source's list and the table show no difference.

At a size that fits the suite; `sagsbro bench load` does it at full size.
"""

from pathlib import Path

import pytest

from ops.bench.load import Scale, run


@pytest.mark.timeout(420)
def test_nothing_is_missing_after_a_load_that_was_killed_and_an_agreement_that_was_narrowed(tmp_path: Path) -> None:
    report = run(tmp_path / "data", Scale(cases=2_000, live=1_000, kills=2, rate=250.0, seed=7))
    assert report.wrong == []
    assert report.loader_kills == 2
    assert report.worker_kills >= 1
    assert report.missing_while_narrowed > 0
    assert report.vanished > 0
