"""Rules and routes with every duration divided by one number, so that weeks can be watched. Pure.

Divided are windows, offsets, `for`, intervals and Alertmanager's waits, and seconds that are written as `N * 3600`.
Other thresholds stay. No window becomes shorter than `SHORTEST_S`, no interval than a second: nothing would be in it.
"""

import re
from typing import Any, Final

SHORTEST_S: Final = 5.0
INTERVAL_S: Final = 1.0
SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}
_DURATION: Final = re.compile(r"(\d+)(ms|[smhdwy])")
_WINDOW: Final = re.compile(r"\[([^\]]+)\]")
_OFFSET: Final = re.compile(r"\boffset (\w+)")
_HOURS: Final = re.compile(r"\b(\d+) \* 3600\b")
_WAITS: Final = {"group_wait", "group_interval", "repeat_interval"}


def seconds(duration: str) -> float:
    """`1h30m` -> 5400."""
    return sum(int(number) * SECONDS[unit] for number, unit in _DURATION.findall(duration))


def divided(duration: str, by: int, least: float = 0.0) -> str:
    """The duration divided, to a millisecond, and not below `least` seconds where that is shorter than it was."""
    was = seconds(duration)
    return f"{round(max(was / by, min(least, was)) * 1000)}ms"


def expression(text: str, by: int) -> str:
    """A PromQL expression that looks back a shorter time; a subquery's step is no window."""

    def window(found: re.Match[str]) -> str:
        whole, _, step = found[1].partition(":")
        shown = divided(whole, by, SHORTEST_S)
        return f"[{shown}:{divided(step, by, INTERVAL_S)}]" if step else f"[{shown}]"

    text = _WINDOW.sub(window, text)
    text = _OFFSET.sub(lambda found: f"offset {divided(found[1], by)}", text)
    return _HOURS.sub(rf"\1 * 3600 / {by}", text)


def rules(content: Any, by: int) -> Any:
    """A file of rules."""
    return {"groups": [_group(group, by) for group in content["groups"]]}


def _group(group: dict[str, Any], by: int) -> dict[str, Any]:
    interval = {"interval": divided(group["interval"], by, INTERVAL_S)} if "interval" in group else {}
    return {**group, **interval, "rules": [_rule(rule, by) for rule in group["rules"]]}


def _rule(rule: dict[str, Any], by: int) -> dict[str, Any]:
    pending = {"for": divided(rule["for"], by)} if "for" in rule else {}
    return {**rule, **pending, "expr": expression(rule["expr"], by)}


def routes(content: Any, by: int, smarthost: str, webhook: str) -> Any:
    """Alertmanager's configuration as it is, but that mail and calls go to the drill, without a password."""
    shared = {name: said for name, said in content["global"].items() if not name.startswith("smtp_auth")}
    shared |= {"smtp_smarthost": smarthost, "smtp_require_tls": False, "smtp_hello": "drill"}
    receivers = [
        {**one, **({"webhook_configs": [{"url": webhook}]} if "webhook_configs" in one else {})}
        for one in content["receivers"]
    ]
    return {**content, "global": shared, "receivers": receivers, "route": _route(content["route"], by)}


def _route(route: dict[str, Any], by: int) -> dict[str, Any]:
    waits = {name: divided(route[name], by) for name in _WAITS & route.keys()}
    return {**route, **waits, "routes": [_route(one, by) for one in route.get("routes", [])]}
