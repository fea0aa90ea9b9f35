"""What the operations page asks for: what Prometheus and the database know, never about a person.

An operator is told of the municipalities that the token names; what is told of no municipality, every operator sees.
"""

import math
import re
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, TypeVar

import psycopg
from fastapi import APIRouter, Depends

from broker.api.auth import require
from broker.api.core import Connection, Core, core_of
from broker.api.problems import Problem, unavailable
from broker.api.prometheus import POINTS, Prometheus, PrometheusAwayError, Series
from broker.domain.identity import SYSTEMS
from broker.domain.outcome import Code
from broker.domain.policy import Role
from broker.panels import BOARDS, Panel
from broker.security import Token
from broker.store import operations

router = APIRouter(prefix="/v1/ops", tags=["operations"])

Cored = Annotated[Core, Depends(core_of)]
Operator = Annotated[Token, Depends(require(Role.OPERATOR))]
Span = Literal["1h", "6h", "1d", "1w"]
SPANS: Final[Mapping[Span, int]] = {"1h": 3600, "6h": 6 * 3600, "1d": 86400, "1w": 7 * 86400}
MOST_LINES: Final = 24
MOST_ROWS: Final = 500
MOST_ALERTS: Final = 200
_BOUNDS: Final = b"SET TRANSACTION READ ONLY; SET LOCAL statement_timeout = '3s'"
_HALF: Final = 12
_LABEL: Final = re.compile(r"\{\{(\w+)\}\}")
T = TypeVar("T")
System = StrEnum("System", {name: name for name in sorted(SYSTEMS | {"unknown"})})  # type: ignore[misc]


@router.get("/boards")
async def get_boards(core: Cored, _token: Operator) -> dict[str, Any]:
    """Every panel there is, and whether there is a Prometheus to fill them; `own` ones come from the database."""
    return {
        "prometheus": core.prometheus is not None,
        "spans": list(SPANS),
        "boards": [
            {"title": title, "panels": [_shown(number, panel) for number, panel in enumerate(panels, 1)]}
            for title, panels in BOARDS.items()
        ],
    }


@router.get("/panels/{board}/{number}")
async def get_panel(board: str, number: int, core: Cored, token: Operator, span: Span = "6h") -> dict[str, Any]:
    """What one panel shows: at most 24 courses of 241 points, or 500 rows; `left_out` says how many more there are."""
    panel = _panel(board, number)
    prometheus = _prometheus(core)
    courses = panel.kind == "timeseries"
    step = SPANS[span] // POINTS
    until = int(time.time()) // step * step
    told: list[dict[str, Any]] = []
    for name, expression in panel.shows.items():
        found = await _told(prometheus.over(expression, until, step) if courses else prometheus.now(expression))
        told += [_series(name, series) for series in _of_token(found, token)]
    told.sort(key=lambda series: _height(series["points"], until if courses else None), reverse=True)
    most = MOST_LINES if courses else MOST_ROWS
    return {"until": until, "step_s": step, "series": told[:most], "left_out": max(0, len(told) - most)}


@router.get("/alerts")
async def get_alerts(core: Cored, token: Operator) -> dict[str, Any]:
    """What fires or is about to, the firing and the paging first; those of other municipalities are not told."""
    alerts = [alert for alert in await _told(_prometheus(core).alerts()) if _is_ours(alert)]
    told = [_alert(alert) for alert in alerts if _is_of(alert["labels"], token)]
    told.sort(key=lambda alert: (alert["state"] != "firing", alert["severity"] != "page", alert["since"]))
    return {"alerts": told[:MOST_ALERTS], "left_out": max(0, len(told) - MOST_ALERTS)}


@router.get("/sources")
async def get_sources(core: Cored, token: Operator) -> list[dict[str, Any]]:
    """Each sender with an agreement: its state, and when it last registered anything; 5000 at most."""
    async with _looking(core) as connection:
        return await operations.sources(connection, token.authorities)


@router.get("/waiting")
async def get_waiting(core: Cored, token: Operator) -> dict[str, Any]:
    """What waits to be published, purged, swept, sealed or looked at; where workers are; alarms of reads by rule."""
    async with _looking(core) as connection:
        return await operations.waiting(connection, token.authorities)


@router.get("/rejections")
async def get_rejections(core: Cored, token: Operator) -> dict[str, Any]:
    """Open ones counted by authority, system and code; `more`: there are more than the 50 000 that were counted."""
    async with _looking(core) as connection:
        return await operations.rejections(connection, token.authorities)


@router.get("/rejections/{system}/{code}")
async def get_rejections_of(system: System, code: Code, core: Cored, token: Operator) -> dict[str, Any]:
    """Where the flaw is, how often, and the newest, of one code and vendor; without a word of any event."""
    async with _looking(core) as connection:
        return await operations.rejections_of(connection, token.authorities, system, code)


def _panel(board: str, number: int) -> Panel:
    panels = next((panels for title, panels in BOARDS.items() if title.lower() == board), ())
    if not 1 <= number <= len(panels):
        raise Problem(404, "not_found", "there is no such panel")
    return panels[number - 1]


def _prometheus(core: Core) -> Prometheus:
    if core.prometheus is None:
        raise Problem(404, "not_found", "SAGSBRO_PROMETHEUS is not set: there is no history and there are no alerts")
    return core.prometheus


async def _told(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except PrometheusAwayError:
        raise unavailable("prometheus_unavailable", "Prometheus does not answer just now") from None


@asynccontextmanager
async def _looking(core: Core) -> AsyncIterator[Connection]:
    """A connection that changes nothing and is cut short after three seconds."""
    try:
        async with core.glances, core.pool.connection() as connection, connection.transaction():
            await connection.execute(_BOUNDS)
            yield connection
    except psycopg.errors.QueryCanceled:
        raise unavailable("took_too_long", "the database needs longer for this than it is given") from None


def _shown(number: int, panel: Panel) -> dict[str, Any]:
    return {
        "number": number,
        "title": panel.title,
        "kind": panel.kind,
        "unit": panel.unit,
        "says": panel.says,
        "wide": panel.width > _HALF,
        "limits": panel.limits,
        "own": panel.own,
    }


def _of_token(found: Iterable[Series], token: Token) -> Iterator[Series]:
    """Those that it may be told, and that have a number at all."""
    for series in found:
        if _is_of(series.labels, token) and any(value is not None for _, value in series.points):
            yield series


def _is_of(labels: Mapping[str, str], token: Token) -> bool:
    """Whether it is told of no municipality, or of one that the token names."""
    return labels.get("authority") in {None, *token.authorities}


def _series(name: str, series: Series) -> dict[str, Any]:
    labels = {label: text for label, text in series.labels.items() if label != "__name__"}
    said = _LABEL.sub(lambda found: labels.get(found[1], ""), name)
    return {"name": said, "labels": labels, "points": series.points}


def _height(points: Sequence[tuple[float, float | None]], until: int | None) -> tuple[float, float]:
    """The value now, then the greatest."""
    values = [-math.inf if value is None else value for _, value in points]
    return values[-1] if until in {None, points[-1][0]} else -math.inf, max(values)


def _is_ours(alert: Mapping[str, Any]) -> bool:
    """Prometheus may watch over others too."""
    return str(alert.get("annotations", {}).get("runbook", "")).startswith("ops/runbooks/")


def _alert(alert: Mapping[str, Any]) -> dict[str, Any]:
    labels, says = dict(alert["labels"]), alert.get("annotations", {})
    return {
        "name": labels.pop("alertname", ""),
        "severity": labels.pop("severity", ""),
        "team": labels.pop("team", ""),
        "state": alert["state"],
        "since": alert["activeAt"],
        "labels": labels,
        **{word: says.get(word, "") for word in ("summary", "description", "runbook")},
    }
