"""A source's list against the index: nothing is taken for vanished that has only overtaken the list."""

from contextlib import suppress
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement
from broker.domain.case import EMPTY, State, content_hash, merge, said_by, stamp_of
from broker.domain.identity import EntryKey
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.kle_rules import Rule, Rules
from broker.domain.reconcile import Held, Listed, area_of, arriving, compare, is_expected, prefixes, removal, too_many
from broker.intake.manifest import FlawedManifest, Manifest
from broker.stream.framing import encode

CASE = "6f1b7c1e-0000-4000-8000-000000000001"
KEY = EntryKey("55133018", "sbsys", CASE)
OPEN = SenderAgreement("55133018", "sbsys", 1, AgreementState.FULL, Patterns.of(["27.*"]), 4, date(2020, 1, 1))
times = st.integers(0, 20)
EDITION = Edition(
    date(2020, 1, 1),
    dict.fromkeys(("27.36.04", "27.36.12", "27.35.10", "27.42.00", "27.45.00", "15.20.00"), "Emne"),
    successors={"16.08.06": frozenset({"27.36.04"})},
)
RULES = Rules(
    (
        Rule("*", "*", "27.35.*", None, "27.36.04", None, date(2000, 1, 1)),
        Rule("*", "*", "27.36.12", None, "27.42.00", None, date(2000, 1, 1)),
        Rule("*", "*", "27.45.*", None, "27.36.04", None, date(2000, 1, 1), date(2022, 1, 1)),
    )
)
BOOK = KleBook((EDITION,), rules=RULES)
held = st.none() | st.builds(Held, times, times, st.booleans(), st.booleans())


@given(listed=st.none() | times, expected=st.booleans(), here=held, as_of=times)
def test_only_what_was_registered_and_received_before_the_list_can_have_vanished(
    *, listed: int | None, expected: bool, here: Held | None, as_of: int
) -> None:
    found = compare(listed, expected, here, as_of)
    if found == "superfluous":
        assert listed is None
        assert here is not None
        assert max(here.registered_at, here.received_at) <= as_of
    if found == "missing":
        assert expected
        assert here is None or not here.stands


@given(listed=times, expected=st.booleans(), here=held, as_of=times)
def test_a_listed_case_that_stands_is_judged_by_its_registration_alone(
    *, listed: int, expected: bool, here: Held | None, as_of: int
) -> None:
    found = compare(listed, expected, here, as_of)
    if here is not None and here.stands:
        order = (here.registered_at > listed) - (here.registered_at < listed)
        assert found == {0: "same", 1: "newer", -1: "older"}[order]


def _registered(at: int, sequence: int | None, event_id: str) -> State:
    event = {
        "event_id": event_id, "system": KEY.system, "authority": KEY.authority, "case_id": CASE,
        "registered_at": at, "sequence": sequence, "change": "REGISTERED",
        "properties": {"user_key": "S", "title": "t", "created_at": 0},
    }  # fmt: skip
    return said_by(event, stamp_of(event, content_hash(encode("case_event", event)[5:])))  # type: ignore[arg-type]


@given(
    stood=st.integers(0, 10),
    sequence=st.none() | st.integers(0, 2**63 - 2),
    first=st.uuids(),
    came=st.integers(0, 10),
    second=st.uuids(),
    turned=st.booleans(),
)
def test_a_removal_takes_what_stood_and_nothing_that_the_source_registered_since(
    *, stood: int, sequence: int | None, first: object, came: int, second: object, turned: bool
) -> None:
    entry = _registered(stood, sequence, str(first))
    event = removal(KEY, stood)
    gone = said_by(event, stamp_of(event, content_hash(encode("case_event", event)[5:])))
    assert not merge(entry, gone).groups
    later = _registered(came, None, str(second))
    order = [entry, gone, later] if turned else [later, gone, entry]
    made = EMPTY
    for one in order:
        made = merge(made, one)
    assert bool(made.groups) == (came > stood)


def test_a_removal_is_the_same_event_however_often_it_is_made() -> None:
    assert removal(KEY, 5) == removal(KEY, 5)
    assert removal(KEY, 5)["event_id"] != removal(KEY, 6)["event_id"]


@pytest.mark.parametrize(
    ("kle", "area"),
    [("27.36.04", "27.*"), ("27.*", "27.*"), ("27.3*", "27.*"), ("N*", "-"), (None, "-"), ("§ 83 a", "-")],
)
def test_an_area_is_the_main_group(kle: str | None, area: str) -> None:
    assert area_of(kle) == area


def expected(said: Listed, choices: tuple[Delimitation, ...] = (), agreement: SenderAgreement = OPEN) -> bool:
    return is_expected(said, agreement, Facts(kle=BOOK, delimitations={KEY.authority: choices}))


def test_what_agreement_or_delimitation_leaves_out_is_not_expected() -> None:
    choice = (Delimitation(Patterns.of(["27.36.*"]), date(2021, 1, 1), active_only=True),)
    day = 86_400_000_000
    in_2022, in_2020, in_2019 = 19_000 * day, 18_300 * day, 17_900 * day
    assert expected(Listed(CASE, 1, "27.36.04"))
    assert expected(Listed(CASE, 1, "27.*"), choice)
    assert expected(Listed(CASE, 1, "§ 83 a"), choice)
    assert expected(Listed(CASE, 1, "27.36.04", in_2022, "OPLYST"), choice)
    assert not expected(Listed(CASE, 1, "27.36.04", in_2022, "AFSLUTTET"), choice)
    assert not expected(Listed(CASE, 1, "27.36.04", in_2020), choice)
    assert not expected(Listed(CASE, 1, "27.36.04", in_2019))
    assert not expected(Listed(CASE, 1, "27.42.00"), choice)
    assert not expected(Listed(CASE, 1, "15.20.00"))


def test_while_restricted_only_the_restricted_numbers_are_expected() -> None:
    restricted = replace(OPEN, state=AgreementState.RESTRICTED, restricted_kle=Patterns.of(["27.36.*"]))
    assert expected(Listed(CASE, 1, "27.36.04"), agreement=restricted)
    assert expected(Listed(CASE, 1, "27.35.10"), agreement=restricted)
    assert not expected(Listed(CASE, 1, "27.42.00"), agreement=restricted)


def test_what_is_expected_is_told_by_the_number_that_the_listed_one_maps_to() -> None:
    """As the gate judges the case itself: after mapping."""
    only = replace(OPEN, kle=Patterns.of(["27.36.*"]))
    assert expected(Listed(CASE, 1, "27.35.10"), agreement=only)
    assert expected(Listed(CASE, 1, "16.08.06"), agreement=only)
    assert expected(Listed(CASE, 1, "27.35.10"), (Delimitation(only.kle, date(2020, 1, 1), active_only=False),))
    assert not expected(Listed(CASE, 1, "27.36.12"), agreement=only)
    assert not expected(Listed(CASE, 1, "27.36.12"), (Delimitation(only.kle, date(2020, 1, 1), active_only=False),))


def test_in_doubt_a_listed_case_is_expected() -> None:
    day = 86_400_000_000
    assert expected(Listed(CASE, 1, "99.99.99"))  # which number it will be, nobody knows yet
    in_2021, in_2024 = 18_700 * day, 19_800 * day
    only = replace(OPEN, kle=Patterns.of(["27.36.*"]))
    assert not expected(Listed(CASE, in_2024, "27.45.00", in_2024), agreement=only)
    assert expected(Listed(CASE, in_2024, "27.45.00", in_2021), agreement=only)
    # It may have been made on a day on which the number was mapped otherwise.
    assert expected(Listed(CASE, in_2024, "27.45.00"), agreement=only)


def test_what_a_list_leaves_out_may_arrive_by_rule_by_successor_and_by_local_code() -> None:
    """Of the cases that its source calls otherwise, a list of some of its numbers says nothing."""
    since = date(2000, 1, 1)
    edition = replace(EDITION, successors={**EDITION.successors, "27.36.12": frozenset({"27.50.00", "27.51.00"})})
    later = Edition(date(2024, 1, 1), {}, successors={"27.36.04": frozenset({"28.01.00"})})
    rules = Rules(
        (
            *RULES.listed,
            Rule("*", "sbsys", "15.*", None, "16.08.06", None, since),
            Rule("55133018", "*", None, "§ 83 a", "27.42.00", None, since),
            Rule("*", "nova", "15.*", None, "29.00.00", None, since),
            Rule("29189420", "*", "15.*", None, "29.00.00", None, since),
        )
    )
    book = KleBook((edition, later), rules=rules)

    def come(*areas: str) -> set[str]:
        return arriving(book, KEY.authority, KEY.system, Patterns.of(areas))

    assert come("27.*") == {"16.08.06", "27.36.04", "27.42.00", "28.01.00"}
    assert come("27.*", "15.*", "16.08.06") == {"27.42.00"}
    assert come("27.36.*", "15.*", "16.08.06") == {"27.36.04", "27.42.00", "28.01.00"}
    # Nobody knows which of two it is: such a case is refused until a rule says so.
    assert not come("15.*") & {"27.50.00", "27.51.00"}
    assert arriving(BOOK, KEY.authority, KEY.system, Patterns.of(["27.*", "16.08.06"])) == set()


def test_more_than_a_tenth_is_too_many_but_for_a_handful() -> None:
    assert not too_many(10, 10)
    assert too_many(11, 100)
    assert not too_many(11, 110)


def test_prefixes_are_of_patterns_only() -> None:
    assert prefixes(["27.*", "32.45.04"]) == ["27.", "32.45.04"]
    assert prefixes([]) is prefixes(["N*", "27.*"]) is None
    with pytest.raises(ValueError, match="is no KLE pattern"):
        prefixes(["27"])


LINES = (
    b'\xef\xbb\xbf{"case_id":"6f1b7c1e-0000-4000-8000-000000000001","registered_at":"2024-05-01T10:00:00Z","kle":"27.36.04"}\n'
    b"\n"
    b'{"case_id":"6f1b7c1e-0000-4000-8000-000000000002","registered_at":"2024-05-01T12:00:00.000001+02:00"}'
)
AS_CSV = (
    b"\xef\xbb\xbfcase_id;registered_at;kle;state\r\n"
    b"6f1b7c1e-0000-4000-8000-000000000001;2024-05-01T10:00:00Z;27.36.04;\r\n"
    b"6f1b7c1e-0000-4000-8000-000000000002;2024-05-01T10:00:00.000001Z;;\r\n"
)


@given(st.sampled_from([(LINES, False), (AS_CSV, True)]), st.data())
def test_a_manifest_reads_the_same_however_it_is_cut(body: tuple[bytes, bool], data: st.DataObject) -> None:
    text, as_csv = body
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    reader = Manifest(as_csv=as_csv)
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    rows = [row for piece in pieces for row in reader.feed(piece)] + list(reader.end())
    at = 1_714_557_600_000_000
    assert rows == [Listed(CASE, at, "27.36.04"), Listed(CASE[:-1] + "2", at + 1)]
    assert reader.count == 2


@given(body=st.binary(), as_csv=st.booleans())
def test_whatever_comes_is_read_or_refused_with_its_line(*, body: bytes, as_csv: bool) -> None:
    reader = Manifest(as_csv=as_csv)
    rows: list[Listed] = []
    with suppress(FlawedManifest):
        rows += [*reader.feed(body), *reader.end()]
        assert len(rows) == reader.count


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b'{"case_id":"x","registered_at":"2024-05-01T10:00:00Z"}',
        b'{"case_id":"6f1b7c1e-0000-4000-8000-000000000001"}',
        b'{"case_id":"6f1b7c1e-0000-4000-8000-000000000001","registered_at":"2024-05-01"}',
        b'{"case_id":"6f1b7c1e-0000-4000-8000-000000000001","registered_at":"2024-05-01T10:00:00Z","citizen":"x"}',
        b'{"case_id":"6f1b7c1e-0000-4000-8000-000000000001","registered_at":"2024-05-01T10:00:00Z","state":"Aktiv"}',
        b'"' + b"x" * 20_000,
    ],
)
def test_a_flaw_in_any_line_refuses_the_whole(line: bytes) -> None:
    reader = Manifest(as_csv=False)
    with pytest.raises(FlawedManifest, match=r"^line 2 "):
        list(reader.feed(LINES.split(b"\n")[0] + b"\n" + line + b"\n"))
