"""What Prometheus tells the operations page: instant values, courses over time, alerts. Asks only what the code asks.

Bounded: four questions at a time, five seconds and 4 MiB each; the same one within ten seconds is asked once, however
many look.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final, NamedTuple

import httpx
import orjson

PATIENCE_S: Final = 5
MOST_AT_ONCE: Final = 4
MOST_BYTES: Final = 4 * 1024 * 1024
KEPT_S: Final = 10
POINTS: Final = 240


class PrometheusAwayError(Exception):
    """It does not answer, or not as it should."""


class Series(NamedTuple):
    """points: (seconds since 1970, value); None where it is no number."""

    labels: Mapping[str, str]
    points: list[tuple[float, float | None]]


class Prometheus:
    """One client for the process; `close` ends it."""

    def __init__(self, address: str) -> None:
        """address: what `api/v1/query` comes behind; nothing is asked before it is needed."""
        self._http = httpx.AsyncClient(base_url=address, timeout=PATIENCE_S, trust_env=False)
        self._free = asyncio.Semaphore(MOST_AT_ONCE)
        self._kept: dict[tuple[str | int, ...], tuple[float, asyncio.Task[Any]]] = {}

    async def now(self, expression: str) -> list[Series]:
        """Each series as it is. Raises PrometheusAwayError."""
        said = {"query": expression, "timeout": f"{PATIENCE_S}s"}
        data = await self._once((expression,), self._asked("query", said))
        return [Series(one["metric"], [_point(one["value"])]) for one in data["result"]]

    async def over(self, expression: str, until: int, step: int) -> list[Series]:
        """Each series' course of `POINTS` steps (seconds) until then. Raises PrometheusAwayError."""
        said = {"query": expression, "timeout": f"{PATIENCE_S}s", "start": until - POINTS * step, "end": until}
        data = await self._once((expression, until, step), self._asked("query_range", {**said, "step": step}))
        return [Series(one["metric"], [_point(point) for point in one["values"]]) for one in data["result"]]

    async def alerts(self) -> list[dict[str, Any]]:
        """Every alert that is pending or fires, in Prometheus' form. Raises PrometheusAwayError."""
        data = await self._once((), self._asked("alerts", None))
        alerts: list[dict[str, Any]] = data["alerts"]
        return alerts

    async def close(self) -> None:
        """Nobody asks any more."""
        for _, task in self._kept.values():
            task.cancel()
        await self._http.aclose()

    async def _once(self, question: tuple[str | int, ...], asking: Coroutine[Any, Any, Any]) -> Any:
        """The answer of a moment ago, where there is one; a failure too, so that one that is away is left alone."""
        now = time.monotonic()
        self._kept = {of: (at, task) for of, (at, task) in self._kept.items() if now - at < KEPT_S or not task.done()}
        if question in self._kept:
            asking.close()
        else:
            self._kept[question] = now, asyncio.create_task(asking)
        return await asyncio.shield(self._kept[question][1])  # who stops looking takes nothing from the others

    async def _asked(self, path: str, said: Mapping[str, Any] | None) -> Any:
        try:
            async with self._free, asyncio.timeout(2 * PATIENCE_S):
                return await self._read(path, said)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, orjson.JSONDecodeError, KeyError, TypeError):
            raise PrometheusAwayError from None

    async def _read(self, path: str, said: Mapping[str, Any] | None) -> Any:
        read = bytearray()
        async with self._http.stream("GET" if said is None else "POST", f"api/v1/{path}", data=said) as answer:
            answer.raise_for_status()
            async for part in answer.aiter_bytes():
                read += part
                if len(read) > MOST_BYTES:
                    raise PrometheusAwayError
        return orjson.loads(read)["data"]


def _point(told: tuple[float, str]) -> tuple[float, float | None]:
    value = float(told[1])
    return told[0], value if math.isfinite(value) else None
