"""Our own connectors take the compliance run: what each system has words for is shown from its golden payloads.

Every scenario is made in the vendor's own form: a golden payload as it is, or with one leaf of it changed, found by
what the change does to the event. Where no leaf does it, the system has no words for it, and its connector says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Final, TypeGuard

import pytest

from broker.domain.agreement import AgreementState, Authority, Facts, SenderAgreement
from broker.domain.case import EMPTY, CaseEvent, State, content_hash, outcome_of, said_by, stamp_of
from broker.domain.classify import Classified
from broker.domain.classify import judge as classify
from broker.domain.compliance import REQUIREMENTS, Observed, judge, passed
from broker.domain.document import Event
from broker.domain.identity import SYSTEMS
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Delimited, Rejected
from broker.intake.connector import Connector, Source, load
from broker.stream.framing import HEADER, encode
from connectors.standards.klgateway.vendor import CANNOT
from connectors.standards.sf1470.translate import RECEIVED as RECEIVED_AT
from tests.contract.test_connectors import AUTHORITY, RECEIVED, changed, goldens, installed, name_of, places, source

RETIRED: Final = "27.36.99"
CPR: Final = "0101455001"
DAY: Final = 86_400_000_000
STRICT: Final = "strengt"
KLE: Final = re.compile(r"\d\d\.\d\d\.\d\d")
Payload = Any


@cache
def payloads_of(connector: Connector) -> list[Payload]:
    """Of the connector's goldens; who speaks the gateway's shape may send what the gateway does."""
    names = {connector.name} | ({"klgateway"} if connector.kind == "eoj" and connector.cannot is CANNOT else set())
    return [
        _dated(connector, payload)
        for golden in goldens()
        if golden.connector.name in names
        for payload in golden.payloads
    ]


def _dated(connector: Connector, payload: Payload) -> Payload:
    """SF1470's removals name no time: its service says when they came."""
    return payload | {RECEIVED_AT: RECEIVED - DAY} if connector.name == "sf1470" else payload


@cache
def configured(connector: Connector) -> Source:
    """As in the goldens, and with every word of theirs in the tables that only a municipality can fill."""
    own: Mapping[str, Any] = source(connector).config
    shared: Mapping[str, Any] = (
        source(gateway).config if connector.cannot is CANNOT and (gateway := load("klgateway")) else {}
    )
    words = {str(_at(payload, path)) for payload in payloads_of(connector) for path in places(payload)}
    principals = {word: ["8a0cbb4c-8f2d-4a41-9d39-3d0b9b7b1a02"] for word in words}
    special: dict[str, dict[str, Any]] = {
        "acadre": {
            "access_groups": principals | {STRICT: ["8a0cbb4c-8f2d-4a41-9d39-3d0b9b7b1a02"]},
            "sensitivity": {STRICT: "VIP_SAGER"},
        },
        "sbsys": {"security_sets": principals},
    }
    tables = special.get(connector.name, {})
    if connector.name == "nexus":
        own = {
            **own,
            "kle": {**own["kle"], "Serviceloven § 83 a": {"kle": "27.36.04"}, "forløbstype 7": {"kle": "27.36.08"}},
        }
    labels = {"security_labels": {f"local|{STRICT}": "VIP_SAGER"}} if connector.cannot is CANNOT else {}
    kle = {"kle": {**shared.get("kle", {}), **own.get("kle", {})}} if "kle" in connector.settings else {}
    return Source(connector.name, AUTHORITY, {**shared, **own, **tables, **labels, **kle})


def is_case(event: Event) -> TypeGuard[CaseEvent]:
    return "case_id" in event


def translated(connector: Connector, payload: Payload) -> list[CaseEvent]:
    found = connector.translate(payload, configured(connector))
    return [] if isinstance(found, Rejected) else [event for event in found if is_case(event)]


@cache
def facts(connector: Connector) -> Facts:
    """Everything that the goldens name is in the newest edition; one number was in the one before."""
    numbers = {
        number
        for payload in payloads_of(connector)
        for event in translated(connector, payload)
        if (number := (event.get("classification") or {}).get("kle")) is not None
    } - {RETIRED}
    agreement = SenderAgreement(
        AUTHORITY, connector.name, 1, AgreementState.FULL, Patterns.of(["N*"]), 4, date(1900, 1, 1)
    )
    editions = (Edition(date(1900, 1, 1), {RETIRED: "gone"}), Edition(date(1901, 1, 1), dict.fromkeys(numbers, "x")))
    return Facts(
        1,
        senders={(AUTHORITY, connector.name): agreement},
        authorities={AUTHORITY: Authority(AUTHORITY, "Testborg")},
        kle=KleBook(editions),
    )


def came(connector: Connector, payloads: Sequence[Payload]) -> list[Observed]:
    """What the broker's own rules make of these, one after the other."""
    entries: dict[str, State] = {}
    seen: list[Observed] = []
    for payload in payloads:
        found = connector.translate(payload, configured(connector))
        if isinstance(found, Rejected):
            seen.append(Observed(None, None, "rejected", str(found.code), found.pointer))
            continue
        seen += [_observed(event, facts(connector), entries) for event in found if is_case(event)]
    return seen


def _observed(event: CaseEvent, known: Facts, entries: dict[str, State]) -> Observed:
    verdict = classify(event, known, RECEIVED)
    match verdict:
        case Rejected():
            return Observed(event["event_id"], event, "rejected", str(verdict.code), verdict.pointer)
        case Delimited():
            return Observed(event["event_id"], event, "delimited")
        case Classified():
            stamp = stamp_of(event, content_hash(encode("case_event", event)[HEADER.size :]))
            before = entries.get(event["case_id"], EMPTY)
            status, after = outcome_of(before, said_by(verdict.event, stamp))
            entries[event["case_id"]] = after
            lacks = status == "indexed" and event["change"] == "REGISTERED" and after.mandatory_missing
            return Observed(event["event_id"], event, status, "incomplete" if lacks else None)


def whole(connector: Connector) -> list[Payload]:
    """Payloads that are indexed as they are."""
    return [
        payload
        for payload in payloads_of(connector)
        if (seen := came(connector, [payload])) and all(one.status == "indexed" for one in seen)
    ]


def variants(payload: Payload, leaves: Callable[[str], Iterator[Any]]) -> Iterator[Payload]:
    """The payload with one text replaced, or with all that are the same text."""
    for path in places(payload):
        value = _at(payload, path)
        if isinstance(value, str):
            for new in leaves(value):
                yield changed(payload, path, new)
                yield _everywhere(payload, value, new)


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _everywhere(value: Any, old: str, new: Any) -> Any:
    if isinstance(value, dict):
        return {name: _everywhere(inner, old, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_everywhere(inner, old, new) for inner in value]
    return new if value == old else value


def later(connector: Connector, payload: Payload) -> Payload | None:
    """The same case, registered later: one more year in some time of it."""
    before = {event["case_id"]: event["registered_at"] for event in translated(connector, payload)}

    def year(text: str) -> Iterator[str]:
        for one in range(2015, 2027):
            if str(one) in text:
                yield text.replace(str(one), str(one + 1))

    for variant in variants(payload, year):
        after = {event["case_id"]: event["registered_at"] for event in translated(connector, variant)}
        newer = after.keys() == before.keys() and any(after[case] > before[case] for case in before)
        if newer and all(one.status == "indexed" for one in came(connector, [payload, variant])):
            return variant
    return None


def scenarios(connector: Connector) -> Iterator[list[Payload]]:
    """Everything that the run asks for, as far as the goldens give it."""
    good = whole(connector)
    yield payloads_of(connector)
    for payload in good:
        yield [payload, payload]
    for payload in good:
        if (newer := later(connector, payload)) is not None:
            yield [payload, newer]
            yield [newer, payload]
    for payload in good:
        for leaves in (_kle, _number, _title):
            yield from ([one] for one in variants(payload, leaves))
        yield from ([one] for one in _stricter(payload))


def _stricter(payload: Payload) -> Iterator[Payload]:
    """With a higher level somewhere inside: a word of Acadre's, or a label of FHIR's."""
    for path in places(payload):
        if "access" in str(path[-1]).lower():
            yield changed(payload, path, STRICT)
        if path[-1] == "meta":
            label = {"security": [{"system": "local", "code": STRICT}]}
            yield changed(payload, path, {**_at(payload, path), **label})


def _kle(text: str) -> Iterator[str]:
    for number in (RETIRED, "99.99.99") if KLE.search(text) else ():
        yield KLE.sub(number, text)


def _number(text: str) -> Iterator[str]:
    bare = text.replace("-", "")
    if len(bare) == 10 and bare.isascii() and bare.isdigit():
        yield "3913455001"


def _title(text: str) -> Iterator[str]:
    if " " in text or text.isalpha():
        yield f"{text} {CPR}"


@cache
def shown(connector: Connector) -> Mapping[str, str]:
    """The verdict of each requirement over all scenarios."""
    verdicts = {one.number: "not_sent" for one in REQUIREMENTS}
    for payloads in scenarios(connector):
        for result in judge(came(connector, payloads), {}):
            if result.verdict == "met" or verdicts[result.number] == "not_sent":
                verdicts[result.number] = result.verdict
    return verdicts


every_sender = pytest.mark.parametrize("connector", [one for one in installed() if one.name in SYSTEMS], ids=name_of)


@every_sender
def test_a_system_shows_all_that_it_has_words_for_and_says_what_it_has_none_for(connector: Connector) -> None:
    verdicts = shown(connector)
    assert {number for number, verdict in verdicts.items() if verdict != "met"} == set(connector.cannot)


@every_sender
def test_what_a_system_has_no_words_for_is_stated_and_no_pass(connector: Connector) -> None:
    results = {one.number: one for one in judge([], connector.cannot)}
    for number, why in connector.cannot.items():
        assert (results[number].verdict, results[number].came) == ("not_expressible", why)
    assert not passed(list(results.values()))
