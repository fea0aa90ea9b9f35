"""The drill's pure parts: durations divided, firings written down; and its two mailboxes, really asked."""

import json
import re
import smtplib
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from broker.metrics import TOLD_BY, registry
from ops.drill import scaling
from ops.drill.faults import DRILL, HOURS, NOT_DRILLED, WEEKS
from ops.drill.history import History, Labels, Row, addressed, table
from ops.drill.telling import WEBHOOK, Receivers, Told
from tests.unit.operating import OPS, RULES, ran, read, rules, told

ROUTES: Final = OPS / "alertmanager" / "alertmanager.yml"
WORDS: Final = {"and", "by", "on", "or", "unless"}
ELSEWHERE: Final = re.compile(r"up|node_filesystem_\w+")
"""Prometheus' own, and the node exporter's."""


@given(number=st.integers(1, 90), unit=st.sampled_from(sorted(scaling.SECONDS)), by=st.integers(1, 1200))
def test_a_divided_duration_is_that_part_of_it_to_a_millisecond(number: int, unit: str, by: int) -> None:
    was = scaling.seconds(f"{number}{unit}")
    assert was == number * scaling.SECONDS[unit]
    assert scaling.seconds(scaling.divided(f"{number}{unit}", by)) == pytest.approx(was / by, abs=0.0005001)


@pytest.mark.parametrize(
    ("text", "divided"),
    [
        ("rate(a:b5m[1h])", "rate(a:b5m[30000ms])"),
        ("changes(a[5m]) offset 1w", "changes(a[5000ms]) offset 5040000ms"),
        ("max_over_time(a:max1d[28d:12h])", "max_over_time(a:max1d[20160000ms:360000ms])"),
        ("time() - a > 26 * 3600", "time() - a > 26 * 3600 / 120"),
        ("a > 120 and b{le='5.0'} < 21 * 86400", "a > 120 and b{le='5.0'} < 21 * 86400"),
    ],
)
def test_windows_offsets_and_hours_are_divided_names_and_thresholds_are_not(text: str, divided: str) -> None:
    assert scaling.expression(text, 120) == divided


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
@pytest.mark.parametrize("by", [HOURS, WEEKS])
def test_prometheus_takes_the_copies_which_differ_in_durations_only(path: Path, by: int, tmp_path: Path) -> None:
    content = read(path)
    copy = scaling.rules(content, by)
    assert [timeless(group) for group in copy["groups"]] == [timeless(group) for group in content["groups"]]
    written = tmp_path / path.name
    written.write_text(yaml.safe_dump(copy, width=1000))
    done = ran("promtool", "check", "rules", written)
    assert done.returncode == 0, done.stdout + done.stderr


def timeless(group: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: value for name, value in rule.items() if name not in {"for", "expr"}} for rule in group["rules"]]


def test_alertmanager_takes_the_copy_which_has_the_same_receivers_and_no_secret(tmp_path: Path) -> None:
    copy = scaling.routes(read(ROUTES), WEEKS, "127.0.0.1:25", "http://127.0.0.1:80/")
    written = tmp_path / "alertmanager.yml"
    written.write_text(yaml.safe_dump(copy))
    done = ran("amtool", "check-config", written)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one["name"] for one in copy["receivers"]] == [one["name"] for one in read(ROUTES)["receivers"]]
    assert "/run/secrets" not in written.read_text()


def test_each_alert_is_drilled_or_the_reason_is_said() -> None:
    drilled = {fault.alert for fault in DRILL}
    assert drilled | NOT_DRILLED.keys() == {rule["alert"] for rule in rules("alert")}
    assert drilled & NOT_DRILLED.keys() == set()


def test_every_metric_that_a_rule_asks_for_is_told_by_some_process() -> None:
    families = {family.name for process in TOLD_BY for family in registry(process).collect()}
    known = told().keys() | families | {rule["record"] for rule in rules("record")}
    for path in RULES:
        for group in read(path)["groups"]:
            for rule in group["rules"]:
                lacking = asked(rule["expr"]) - known
                assert [name for name in lacking if not ELSEWHERE.fullmatch(name)] == [], rule


def asked(expression: str) -> set[str]:
    """Names of metrics in it."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|ignoring|without) \([^)]*\)|offset \w+|\"[^\"]*\"", " ", expression)
    return set(re.findall(r"\b[a-z_][\w:]*\b(?! *\()", bare)) - WORDS


def firing(name: str, **labels: str) -> Labels:
    return frozenset({"alertname": name, **labels}.items())


def test_an_alert_fires_when_first_seen_and_ends_when_it_is_gone_and_may_come_again() -> None:
    history, late, silent = History(), firing("Late"), firing("Silent", system="nova")
    history.see(1, [late])
    history.see(2, [late, silent])
    assert history.last_end("Late", frozenset(), 0) is None
    history.see(3, [silent])
    assert history.last_end("Late", frozenset(), 0) == 3
    history.see(4, [silent, late])
    history.see(5, [])
    found = history.first("Silent", frozenset({("system", "nova")}), 0)
    assert found is not None
    assert (found.began, found.ended) == (2, 5)
    assert history.first("Silent", frozenset({("system", "sbsys")}), 0) is None
    assert history.first("Silent", frozenset(), 3) is None
    assert history.last_end("Late", frozenset(), 0) == 5
    assert history.last_end("Late", frozenset(), 0, until=4) == 3
    assert history.others("Late", 0, 3) == ["Silent"]


def test_the_table_says_never_where_it_was_never() -> None:
    shown = table([Row("a", "A", 1, 61.4, 9.6, ["x (1)"], []), Row("b", "B", 120, None, None, [], ["A"])])
    assert shown.splitlines()[2:] == [
        "| a | A | 1 | 61 | 10 | x (1) | – |",
        "| b | B | 120 | **never** | **never** | – | A |",
    ]


def test_of_an_address_that_was_told_often_the_first_time_counts_within_the_fault() -> None:
    told = [Told(at, "a@x", at == 7, frozenset({"Late"})) for at in (1.0, 5.0, 6.0, 7.0)]
    assert addressed(told, "Late", 4, 9) == ["a@x (1)"]
    assert addressed(told, "Late", 6.5, 9) == []
    assert addressed(told, "Silent", 0, 9) == []


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    with closing(Receivers()) as both:
        yield both


def test_a_mail_is_told_of_each_address_by_the_alerts_in_its_subject(receivers: Receivers) -> None:
    subject = "Subject: =?utf-8?q?[FIRING:1]_SourceSilent_(29000000_nova_r=C3=B8d)?=\r\n\r\n.\r\nx\r\n"
    host, port = receivers.smarthost.split(":")
    with smtplib.SMTP(host, int(port), timeout=30) as sender:
        sender.sendmail("sagsbro@alerts.example", ["a@vendors.example", "b@vendors.example"], subject)
        sender.sendmail("sagsbro@alerts.example", "a@vendors.example", subject.replace("FIRING:1", "RESOLVED"))
    assert [one[1:] for one in receivers.told] == [
        ("a@vendors.example", False, frozenset({"SourceSilent"})),
        ("b@vendors.example", False, frozenset({"SourceSilent"})),
        ("a@vendors.example", True, frozenset({"SourceSilent"})),
    ]


def test_a_call_is_told_by_the_alerts_in_it(receivers: Receivers) -> None:
    said = {"status": "resolved", "alerts": [{"labels": {"alertname": "ApiDown"}}]}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(receivers.webhook, json.dumps(said).encode(), timeout=30) as answer:
        assert answer.status == 200
    assert [one[1:] for one in receivers.told] == [(WEBHOOK, True, frozenset({"ApiDown"}))]
