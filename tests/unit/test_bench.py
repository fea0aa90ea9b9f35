"""What is wrong or missing has no figure, and a measurement that found it does not end with 0."""

import threading
import time
from types import SimpleNamespace
from typing import Any, Self

import httpx
import pytest
from click.testing import CliRunner

from broker.cli import main
from ops.bench import growth, intake, latency


@pytest.mark.parametrize(
    ("asked", "module"),
    [("latency", latency), ("growth", growth), ("intake", intake)],
)
def test_a_measurement_in_which_something_is_wrong_ends_with_3(
    monkeypatch: pytest.MonkeyPatch, asked: str, module: Any
) -> None:
    for wrong, code in (["something is missing"], 3), ([], 0):
        report = module.Report(wrong=wrong)
        monkeypatch.setattr(module, "run", lambda *_, report=report: report)
        ran = CliRunner().invoke(main, ["bench", asked])
        assert ran.exit_code == code, ran.output
        assert all(said in ran.output for said in wrong)


@pytest.mark.parametrize("took", [[1.0, None], [None], []])
def test_latency_has_no_figure_where_an_event_is_missing(took: list[float | None]) -> None:
    row = latency.summed(100, 99.0, "in the topic", took)
    assert row.missing == took.count(None)
    assert (row.p50, row.p95, row.p99, row.p999, row.worst) == (None,) * 5


def test_latency_where_every_event_got_there() -> None:
    row = latency.summed(100, 99.0, "in the topic", [3.0, 1.0, 2.0])
    assert (row.missing, row.p50, row.worst) == (0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("took", "accepted", "logged", "wrong"),
    [([], 0, 0, "nothing was accepted"), ([0.1, 0.2], 1000, 999, "1000 accepted, 999 in the log")],
)
def test_intake_has_no_figure_where_something_is_missing(
    took: list[float], accepted: int, logged: int, wrong: str
) -> None:
    report = intake.Report(seconds=10.0, events=accepted)
    intake.conclude(report, took, logged)
    assert report.wrong == [wrong]
    assert (report.events_per_second, report.request_p50, report.request_p99) == (None, None, None)


def test_intake_holds_memory_of_ours_to_a_bound_that_it_tells() -> None:
    flat, grown = [100, 150, 150, 150, 155, 155], [100, 100, 150, 200, 250, 300]
    report = intake.Report(seconds=600.0, events=1000, resident={"api": grown, "worker-1": flat, "kafka": grown})
    intake.conclude(report, [0.1], 1000)
    assert report.wrong == ["api grew from 100 to 275 MB"]
    assert report.events_per_second is None
    assert "1.25 x" in report.bound


async def test_making_a_batch_is_in_no_requests_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made in half a second each, answered at once."""

    class Client:
        def __init__(self, **_: object) -> None: ...

        async def __aenter__(self) -> Self:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def post(self, *_: object, **__: object) -> Any:
            return SimpleNamespace(status_code=intake.ACCEPTED, json=lambda: {"accepted": 500})

    def slow() -> bytes:
        threading.Event().wait(0.2)
        return b"{}"

    monkeypatch.setattr(httpx, "AsyncClient", Client)
    running: Any = SimpleNamespace(supervisor=SimpleNamespace(names=[]))
    report, began = intake.Report(), time.monotonic()

    took = await intake._load(running, slow, "", "", 0.3, report)

    assert time.monotonic() - began > 0.3
    assert max(took) < 0.1
    assert report.waited > 0.3


def test_batches_are_made_ahead_in_a_process_of_their_own() -> None:
    with intake.making() as batch:
        assert len(batch().splitlines()) == intake.BATCH
