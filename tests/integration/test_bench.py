"""The measurements, at a size that fits the suite: what they say is well-formed and right; how fast is never asked."""

from pathlib import Path

import pytest

from broker.settings import said
from broker.store.database import connect
from ops.bench import growth, intake, latency, purge, reads
from ops.bench.filled import user_key_of
from ops.bench.filling import fill
from ops.embedded import instance

ENTRIES = 2000


def test_reads_finds_what_is_there_by_every_reader_and_no_plan_reads_the_whole_index(tmp_path: Path) -> None:
    report = reads.run(tmp_path / "data", (ENTRIES,), 8)

    assert report.scans == []
    assert "entry_pkey" in report.plans[ENTRIES]["search_entries, user key"]
    assert "entry_user_key" in report.plans[ENTRIES]["entry_candidates, user key"]
    shown = {(row.reader, row.asked, row.at_once): row.shown for row in report.http}
    for reader in reads.READERS:
        for at_once in reads.AT_ONCE:
            assert shown[reader, "citizen not there", at_once] == 0
            assert shown[reader, "user key", at_once] == 1
            assert shown[reader, "citizen", at_once] >= 1
    # Who may read more authorities sees more of a citizen's ten cases, so much that there is another page.
    assert shown["200 grants, 98 authorities", "citizen", 1] > shown["200 grants, 1 authority", "citizen", 1]
    # Of ten cases of ten authorities, 200 consents for single groups open a part.
    assert 0 < shown["hoi, 200 consents", "citizen", 1] < 10
    assert {reader for reader, asked, _ in shown if asked == "second page"} == {"200 grants, 98 authorities"}
    by_statement = {(row.reader, row.asked): row.shown for row in report.statements}
    assert by_statement["1 grant", "citizen"] == shown["1 grant", "citizen", 1] == 1
    assert all(row.p50 <= row.p99 <= row.worst for row in [*report.http, *report.statements])


def test_a_filled_index_holds_every_case_and_nothing_waits_to_be_published(tmp_path: Path) -> None:
    with instance.held(instance.Plan(tmp_path / "data", only_infrastructure=True), {}) as running:
        running.start(lambda _: None)
        reads.ready(running.settings)
        settings = said(running.settings)
        fill(settings, 0, 1000)
        fill(settings, 1000, ENTRIES)
        with connect(settings.dsn, "test") as connection:
            keys = connection.execute("SELECT user_key FROM entry WHERE complete").fetchall()
            left = connection.execute("SELECT (SELECT count(*) FROM dirty), (SELECT count(*) FROM outcome)").fetchone()
    assert {key for (key,) in keys} == {user_key_of(number) for number in range(ENTRIES)}
    assert left == (0, 0)


def test_latency_sees_every_event_get_where_it_is_to_go(tmp_path: Path) -> None:
    report = latency.run(tmp_path / "data", (100,), 5, ENTRIES)

    assert report.wrong == []
    assert [(row.rate, row.until, row.missing) for row in report.rows] == [
        (100, "visible in search", 0),
        (100, "in the topic", 0),
    ]
    visible, published = report.rows
    # Two in a hundred are refused.
    assert 450 < visible.events == published.events < 500
    first, *quantiles = (visible.p50, visible.p95, visible.p99, visible.p999, visible.worst)
    assert [0, first, *quantiles] == sorted(said for said in (0, first, *quantiles) if said is not None)
    assert published.p50 is not None
    assert first is not None
    assert published.p50 > first > 0


def test_growth_weighs_every_process_at_every_size_when_all_is_settled(tmp_path: Path) -> None:
    report = growth.run(tmp_path / "data", (ENTRIES, 2 * ENTRIES), 500)

    assert report.wrong == []
    assert [(pace.entries, pace.events) for pace in report.paces] == [(ENTRIES, 500), (2 * ENTRIES, 500)]
    assert all(0 < pace.us_to_projected <= pace.us_to_published for pace in report.paces)
    weighed = {(row.entries, row.process) for row in report.costs if row.resident > 0}
    processes = {"kafka", "postgres", "api", "worker-1", "publisher-1"}
    assert weighed == {(size, process) for size in (ENTRIES, 2 * ENTRIES) for process in processes}
    assert all(row.cpu_us_per_event > 0 for row in report.costs if row.process in {"worker-1", "publisher-1"})


def test_growth_that_does_not_keep_up_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "settle", lambda _: ["not settled"])
    report = growth.run(tmp_path / "data", (ENTRIES, 2 * ENTRIES), 500)

    assert report.wrong[0] == "not settled"
    assert (report.paces, report.costs, report.sizes) == ([], [], [])


def test_intake_tells_how_much_came_in(tmp_path: Path) -> None:
    report = intake.run(tmp_path / "data", 2)

    assert report.wrong == []
    assert report.events >= intake.BATCH
    assert report.events_per_second is not None
    assert report.request_p50 is not None


def test_purge_sees_every_case_go_from_search_topic_and_stream(tmp_path: Path) -> None:
    report = purge.run(tmp_path / "data", citizens=2, entries=20, rate=50)

    assert report.wrong == []
    assert [(row.until, row.measured, row.left) for row in report.rows] == [
        ("answered", 2, 0),
        ("answer of a search asked right after", 2, 0),
        ("gone from the topic", 40, 0),
        ("told in the stream", 40, 0),
    ]
