"""Alerts: right in form, fed by metrics that exist, each shown to fire and not to fire, told to whom it concerns."""

import re
from pathlib import Path
from typing import Any

import pytest

from ops.embedded.instance import targets
from tests.unit.operating import CASES, OPS, RULES, ran, read, rules, told, unknown

ALERTS = rules("alert")
TARGET = {"job", "instance", "process"}
_SERIES = re.compile(r"(?P<name>[\w:]+)\{(?P<labels>.*)\}")


def cases() -> list[dict[str, Any]]:
    return [case for path in CASES for case in read(path)["tests"]]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name)
def test_the_rules_do_in_each_case_what_it_says(path: Path) -> None:
    done = ran("promtool", "test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_both_configurations_and_every_rule() -> None:
    for path in (OPS / "prometheus" / "prometheus.yml", OPS / "prometheus" / "up.yml"):
        done = ran("promtool", "check", "config", path)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_each_alert_is_shown_to_fire_and_not_to_fire(alert: str) -> None:
    shown = [one for case in cases() for one in case["alert_rule_test"] if one["alertname"] == alert]
    fired = {bool(one["exp_alerts"]) for one in shown}
    assert fired == {True, False}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_how_bad_for_whom_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["labels"]["team"] in {"operations", "senders", "privacy"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert (OPS.parent / rule["annotations"]["runbook"]).exists()


def test_rules_ask_only_for_what_is_told_or_recorded() -> None:
    for path in RULES:
        for group in read(path)["groups"]:
            assert [(rule, found) for rule in group["rules"] if (found := unknown(rule["expr"]))] == []


def test_the_cases_play_series_with_the_labels_that_the_code_gives_them() -> None:
    for case in cases():
        for one in case["input_series"]:
            series = _SERIES.fullmatch(one["series"])
            assert series is not None, one["series"]
            if series["name"].startswith("sagsbro"):
                labels = set(re.findall(r"(\w+)=", series["labels"])) - TARGET - {"le"}
                assert labels == told()[series["name"]], one["series"]


def receivers(**labels: str) -> list[str]:
    configuration = OPS / "alertmanager" / "alertmanager.yml"
    given = [f"{name}={value}" for name, value in labels.items()]
    done = ran("amtool", "config", "routes", "test", f"--config.file={configuration}", *given)
    return done.stdout.strip().split(",")


def test_alertmanager_takes_its_configuration() -> None:
    done = ran("amtool", "check-config", OPS / "alertmanager" / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_page_goes_to_whoever_is_on_call_and_to_nobody_else() -> None:
    for rule in ALERTS:
        if rule["labels"]["severity"] == "page":
            assert receivers(alertname=rule["alert"], **rule["labels"]) == ["on-call"]


def test_what_concerns_a_sender_goes_to_its_vendor_and_to_the_municipality_that_is_named() -> None:
    ticket = {"severity": "ticket", "team": "senders"}
    assert receivers(**ticket, authority="55133018", system="nexus:north") == ["operations", "municipality", "vendor"]
    assert receivers(**ticket, system="nova", code="kle_unknown") == ["operations", "vendor"]
    assert receivers(**ticket, system="unknown", code="unreadable") == ["operations"]
    assert receivers(severity="ticket", team="operations", system="nova") == ["operations"]


def test_an_alarm_of_a_read_goes_to_those_who_protect_data() -> None:
    assert receivers(severity="ticket", team="privacy", rule="many_citizens") == ["data-protection"]


def test_what_is_inhibited_and_what_inhibits_are_alerts_that_exist() -> None:
    names = {rule["alert"] for rule in ALERTS}
    for rule in read(OPS / "alertmanager" / "alertmanager.yml")["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = matcher.split("=", 1)[1].strip('~ "')
            for one in pattern.split("|"):
                assert any(re.fullmatch(one, name) for name in names), one


def test_what_up_runs_is_told_to_prometheus_with_the_process_that_the_rules_ask_for() -> None:
    read_by_prometheus = targets({"api": "http://127.0.0.1:8470/metrics", "worker-1": "http://127.0.0.1:9001/metrics"})
    assert read_by_prometheus == (
        '[{"targets": ["127.0.0.1:8470"], "labels": {"process": "api"}},'
        ' {"targets": ["127.0.0.1:9001"], "labels": {"process": "worker"}}]'
    )
