"""The bench of translate measures every connector, on payloads that become events."""

from itertools import count

from broker.intake.connector import names
from ops.bench.translate import run


def test_every_connector_is_measured_by_the_clock_it_is_given() -> None:
    # A second passes with each look at the clock, so each row is one round.
    report = run(0.5, clock=map(float, count()).__next__)

    assert [row.connector for row in report.translate] == list(names())
    assert all(row.cases > 0 and row.bytes > 100 for row in report.translate)


def test_only_those_that_are_named_are_measured() -> None:
    assert [row.connector for row in run(0.0, ["nova", "edoc"]).translate] == ["edoc", "nova"]
