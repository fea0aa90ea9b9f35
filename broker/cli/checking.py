"""A payload file at every stage, from raw to verdict, without a running Sagsbro. Pure."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, cast

from broker.domain.agreement import AgreementState, Authority, Facts, SenderAgreement
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Delimited, Rejected
from broker.intake.connector import Connector, Source
from broker.intake.verdicts import Accepted, Judged, Offer, Sender, judge_all, offers_of

_TIMES: Final = frozenset({"created_at", "registered_at", "effective_from", "effective_to"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_AGO: Final = date(1900, 1, 1)


@dataclass(frozen=True, slots=True)
class Checked:
    """One payload of a file, at every stage; of a file that cannot be read, the whole of it."""

    file: str
    raw: dict[str, Any]
    index: int
    parsed: object
    left_out: dict[str, int]
    events: list[Any]
    verdicts: list[dict[str, Any]]

    @property
    def is_wrong(self) -> bool:
        """Whether any part of it would be rejected."""
        return any(verdict["verdict"] == "rejected" for verdict in self.verdicts)


def checked(speaking: Connector, source: Source, name: str, body: bytes, at: int) -> Iterator[Checked]:
    """Each payload of a file.

    Args:
        name: the file's. at: when it would be received, microseconds since 1970, UTC.
    """
    raw = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    payloads = speaking.split(body)
    if isinstance(payloads, Rejected):
        yield Checked(name, raw, 0, None, {}, [], [_verdict(payloads)])
        return
    for index, payload in enumerate(payloads):
        judged = _judged(list(offers_of([payload], speaking, source)), source, at)
        left_out = {} if speaking.unknown is None else dict(speaking.unknown(payload))
        events = [_readable(one.offer.event) for one in judged if not isinstance(one.offer.event, Rejected)]
        verdicts = [_verdict(one.verdict) for one in judged]
        yield Checked(name, raw, index, payload, left_out, events, verdicts)


def _judged(offers: list[Offer], source: Source, at: int) -> list[Judged]:
    """By an agreement that covers everything and an edition that has every number that is named: form remains."""
    agreement = SenderAgreement(
        source.authority, source.system, 1, AgreementState.FULL, Patterns.of(["N*"]), 4, _LONG_AGO
    )
    events = [cast("Mapping[str, Any]", one.event) for one in offers if not isinstance(one.event, Rejected)]
    named = [event.get("classification") or {} for event in events]
    titles = {number: "" for one in named if isinstance(number := one.get("kle"), str)}
    facts = Facts(
        senders={(source.authority, source.system): agreement},
        authorities={source.authority: Authority(source.authority, "")},
        kle=KleBook((Edition(_LONG_AGO, titles),)),
    )
    sender = Sender(source.system, frozenset({source.authority}))
    return judge_all(offers, sender, facts, at)


def _verdict(verdict: Accepted | Delimited | Rejected) -> dict[str, Any]:
    match verdict:
        case Rejected():
            said = {"code": str(verdict.code), "pointer": verdict.pointer, "detail": verdict.detail}
            return {"verdict": "rejected", **said, "remedy": verdict.remedy}
        case Accepted():
            return {"verdict": "accepted", "warnings": [asdict(one) for one in verdict.warnings]}
        case Delimited():
            return {"verdict": "delimited"}


def _readable(value: Any, name: str = "") -> Any:
    """The JSON form of an event: times as text."""
    match value:
        case dict():
            return {key: _readable(inner, key) for key, inner in value.items()}
        case list():
            return [_readable(inner) for inner in value]
        case int() if name in _TIMES:
            try:
                moment = _EPOCH + timedelta(microseconds=value)
            except OverflowError:
                return value
            return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case _:
            return value


def shown(value: Any, masked: Callable[[str], str]) -> Any:
    """With every text in it masked, and every whole number that reads as a CPR number."""
    match value:
        case dict():
            return {masked(str(key)): shown(inner, masked) for key, inner in value.items()}
        case list() | tuple():
            return [shown(inner, masked) for inner in value]
        case str():
            return masked(value)
        case int() if masked(str(value)) != str(value):
            return masked(str(value))
        case _:
            return value


def lines(said: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    yield f"raw       {said['file']}, {said['raw']['bytes']} bytes, payload {said['index']}"
    if said["parsed"] is not None:
        yield f"parsed    {_text(said['parsed'])}"
    if said["left_out"]:
        yield "left out  " + ", ".join(f"{name} ({count})" for name, count in said["left_out"].items())
    for event in said["events"]:
        yield f"event     {_text(event)}"
    for verdict in said["verdicts"]:
        if verdict["verdict"] == "rejected":
            where = verdict["pointer"] or "/"
            yield f"verdict   rejected: {verdict['code']} at {where}: {verdict['detail']}. {verdict['remedy']}"
        else:
            warnings = "".join(f"; {one['code']} at {one['pointer']}" for one in verdict.get("warnings", ()))
            yield f"verdict   {verdict['verdict']}{warnings}"
    yield ""


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n          ")
