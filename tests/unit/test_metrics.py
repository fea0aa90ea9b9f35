"""What is measured: every metric has a teller, the page says so, and what is not known is not told."""

from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from broker.metrics import KEPT, TOLD_BY, Kept, Measures, registry, system_label
from broker.processing.housekeeping import LOCK_IDLE_S, MOST_S
from ops.metrics import collectors, page

MEASURED = Measures(
    {(): 7.0},
    {("55133018", "sbsys"): 1_700_000_000.5},
    {("sbsys", "kle_unknown"): 2.0},
    {("55133018", "sbsys", "FULL"): 1.0},
)


def told(kept: Kept) -> str:
    made = CollectorRegistry()
    made.register(kept)
    return generate_latest(made).decode()


def test_the_page_is_what_the_code_says() -> None:
    assert Path("ops/metrics.md").read_text() == page(), "python -m ops.metrics > ops/metrics.md"


def test_every_metric_is_told_by_some_process() -> None:
    assert set(collectors()) == {collector for told_by in TOLD_BY.values() for collector in told_by}


def test_every_name_begins_as_the_contract_has_it() -> None:
    for process in TOLD_BY:
        for family in registry(process).collect():
            assert family.name.startswith(("sagsbro_", "process_"))


def test_a_process_tells_nothing_that_only_another_knows() -> None:
    for process in ("api", "worker"):
        text = generate_latest(registry(process)).decode()
        assert not any(row.name in text for row in KEPT)


def test_what_the_database_knows_is_told_once_it_has_been_read() -> None:
    kept = Kept()
    kept.tell(MEASURED)

    text = told(kept)

    assert "sagsbro_outbox_depth 7.0" in text
    assert 'sagsbro_source_last_event_timestamp_seconds{authority="55133018",system="sbsys"} 1.7000000005e+09' in text
    assert 'sagsbro_rejections_open{code="kle_unknown",system="sbsys"} 2.0' in text
    assert 'sagsbro_agreement_state{authority="55133018",state="FULL",system="sbsys"} 1.0' in text


def test_nothing_is_told_before_it_is_known_nor_after_the_lock_is_gone_nor_when_it_is_old() -> None:
    kept = Kept()
    assert "\nsagsbro" not in told(kept)

    kept.tell(MEASURED)
    kept.tell(None)
    assert "\nsagsbro" not in told(kept)

    old = Kept(good_for_s=0.0)
    old.tell(MEASURED)
    assert "\nsagsbro" not in told(old)


def test_a_system_label_has_no_instance_and_no_text_of_a_sender() -> None:
    assert [system_label(name) for name in ("sbsys", "sbsys:north", "", "evil name")] == [
        "sbsys",
        "sbsys",
        "unknown",
        "unknown",
    ]


def test_what_was_told_runs_out_before_the_lock_can_be_lost_and_after_it_is_read_anew() -> None:
    assert MOST_S < Kept.GOOD_FOR_S < LOCK_IDLE_S
