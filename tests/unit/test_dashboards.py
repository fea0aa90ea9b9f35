"""Grafana's dashboards: made from the table, whole in structure, and every expression one that Prometheus takes."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from broker.panels import BOARDS
from ops.dashboards import FOLDER, files
from tests.unit.operating import OPS, ran, read, unknown

MADE = [json.loads(text) for _, text in files()]


def panels() -> list[dict[str, Any]]:
    return [panel for board in MADE for panel in board["panels"]]


def test_the_files_are_what_the_table_says() -> None:
    assert {path: path.read_text() for path in FOLDER.iterdir()} == dict(files()), "python -m ops.dashboards"


def test_prometheus_takes_every_expression(tmp_path: Path) -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    listed = [{"record": f"shown:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    rules = tmp_path / "shown.yml"
    rules.write_text(json.dumps({"groups": [{"name": "shown", "rules": listed}]}))
    done = ran("promtool", "check", "rules", rules)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(expressions)} rules found" in done.stdout


def test_they_show_only_what_is_told_or_recorded() -> None:
    for panel in panels():
        for target in panel["targets"]:
            assert unknown(target["expr"]) == set(), panel["title"]


@pytest.mark.parametrize("board", MADE, ids=lambda board: str(board["uid"]))
def test_panels_lie_within_the_grid_and_over_no_other(board: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 and place["h"] > 0 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above


def test_each_panel_has_what_grafana_needs_to_draw_it() -> None:
    source = read(OPS / "grafana/provisioning/datasources/prometheus.yml")["datasources"][0]
    for panel in panels():
        assert panel["type"] in {"timeseries", "stat", "table", "bargauge"}
        assert panel["title"]
        assert panel["description"]
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert panel["targets"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": source["type"], "uid": source["uid"]}


def test_numbers_and_names_are_given_once() -> None:
    assert len({board["uid"] for board in MADE}) == len(BOARDS)
    for board in MADE:
        assert [panel["id"] for panel in board["panels"]] == list(range(1, len(board["panels"]) + 1))
