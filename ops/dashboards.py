"""Grafana's dashboards, made from `broker.panels`: `python -m ops.dashboards`. A test keeps the files equal to it."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

from broker.panels import BOARDS, Kind, Panel

FOLDER: Final = Path(__file__).parent / "grafana" / "dashboards"
DATASOURCE: Final = {"type": "prometheus", "uid": "sagsbro-prometheus"}
_COLUMNS: Final = 24


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its text."""
    for title, panels in BOARDS.items():
        yield FOLDER / f"{title.lower()}.json", json.dumps(_board(title, panels), indent=1, ensure_ascii=False) + "\n"


def _board(title: str, panels: tuple[Panel, ...]) -> dict[str, Any]:
    return {
        "uid": f"sagsbro-{title.lower()}",
        "title": f"Sagsbro: {title.lower()}",
        "tags": ["sagsbro"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": []},
        "annotations": {"list": []},
        "links": [{"type": "dashboards", "title": "Sagsbro", "tags": ["sagsbro"], "asDropdown": False}],
        "panels": [_panel(*each) for each in zip(count(1), panels, _places(panels), strict=False)],
    }


def _places(panels: tuple[Panel, ...]) -> Iterator[dict[str, int]]:
    """From left to right, then the next row."""
    x = y = tallest = 0
    for panel in panels:
        if x + panel.width > _COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        yield {"x": x, "y": y, "w": panel.width, "h": panel.height}
        x, tallest = x + panel.width, max(tallest, panel.height)


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind in {"table", "matrix", "bargauge"}
    colours: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limits is not None:
        yellow, red = panel.limits
        colours += [{"color": "yellow", "value": yellow}, {"color": "red", "value": red}]
    return {
        "id": number,
        "type": "table" if panel.kind == "matrix" else panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": colours}},
            "overrides": [],
        },
        "options": {},
        "transformations": _transformations(panel.kind),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": now,
                "range": not now,
                "format": "table" if panel.kind in {"table", "matrix"} else "time_series",
            }
            for index, (legend, expression) in enumerate(panel.shows.items())
        ],
    }


def _transformations(kind: Kind) -> list[dict[str, Any]]:
    """A matrix has municipalities down and systems across; a table leaves the time out."""
    match kind:
        case "matrix":
            options = {"rowField": "authority", "columnField": "system", "valueField": "Value"}
            return [{"id": "groupingToMatrix", "options": options}]
        case "table":
            return [{"id": "organize", "options": {"excludeByName": {"Time": True}}}]
        case _:
            return []


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files():
        path.write_text(text, encoding="utf-8")
