"""Documents that come with cases: they are held where one of these is, and only then, unless they were before."""

import random
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.document import DocumentEvent, DocumentKey
from broker.domain.outcome import Code, Delimited, Rejected
from broker.intake.verdicts import Accepted, Judged, Offer, Verdict, leaves_index, orphans, without
from tests.strategies import AUTHORITY

IDS = tuple(f"00000000-0000-4000-8000-00000000000{number}" for number in range(4))
REFUSED = Rejected(Code.KLE_UNKNOWN, "/classification/kle", "x")
KEPT_BY_NOBODY = Rejected(Code.OUTSIDE_AGREEMENT, "/classification/kle", "x", covered=False)
BAD = Rejected(Code.MANDATORY_MISSING, "/Titel", "x")


def a_document(number: int, refused: Rejected | None = None) -> Judged:
    event: DocumentEvent = {
        "event_id": "e",
        "system": "sf1470",
        "authority": AUTHORITY,
        "document_id": IDS[number],
        "registered_at": 1,
        "removed": False,
    }
    offer = Offer(0, event if refused is None else refused, AUTHORITY, "sf1470", "e", {}, canonical=False)
    return Judged(offer, Accepted(event, b"") if refused is None else refused)


def a_case(names: Sequence[int], refused: Delimited | Rejected | None) -> Judged:
    items = [{"item_id": IDS[one], "kind": "DOCUMENT", "document_id": IDS[one].upper(), "title": ""} for one in names]
    event = {"case_id": "c", "system": "sf1470", "authority": AUTHORITY, "journal": {"complete": True, "items": items}}
    offer = Offer(0, event, AUTHORITY, "sf1470", "e", {}, canonical=False)  # type: ignore[arg-type]
    return Judged(offer, Accepted(event, b"") if refused is None else refused)  # type: ignore[arg-type]


cases = st.builds(
    a_case,
    st.lists(st.integers(0, 3), unique=True),
    st.sampled_from([None, REFUSED, KEPT_BY_NOBODY, Delimited()]),
)
documents = st.builds(a_document, st.integers(0, 3), st.sampled_from([None, BAD]))


def named(one: Judged) -> set[str]:
    event = one.offer.event
    assert isinstance(event, dict)
    assert "case_id" in event
    return {item["document_id"].lower() for item in (event.get("journal") or {"items": []})["items"]}


def of(found: Mapping[DocumentKey, Verdict]) -> set[str]:
    return {key.document_id for key in found}


@given(st.lists(cases), st.lists(documents), st.randoms())
def test_an_orphan_is_a_good_document_that_only_refused_cases_name_in_any_order(
    with_it: list[Judged], good_and_bad: list[Judged], rng: random.Random
) -> None:
    request = [*with_it, *good_and_bad]
    rng.shuffle(request)
    accepted = [one for one in with_it if isinstance(one.verdict, Accepted)]
    refused = [one for one in with_it if not isinstance(one.verdict, Accepted)]
    good = {
        one.verdict.event["document_id"]  # type: ignore[typeddict-item]
        for one in good_and_bad
        if isinstance(one.verdict, Accepted)
    }
    taken: set[str] = set().union(*map(named, accepted))

    found = orphans(request)

    assert of(found) == (good & set().union(*map(named, refused))) - taken
    after = without(request, found)
    assert [one.offer for one in after] == [one.offer for one in request]
    for before, now in zip(request, after, strict=True):
        orphaned = isinstance(before.verdict, Accepted) and before.verdict.event.get("document_id") in of(found)
        assert orphaned or now.verdict == before.verdict
        assert not (orphaned and isinstance(now.verdict, Accepted))
    # What the index never had need not leave it.
    assert {id(event) for event in leaves_index(after)} == {id(event) for event in leaves_index(request)}


def test_an_orphan_is_kept_to_be_mended_where_its_case_is() -> None:
    for refused in (REFUSED, KEPT_BY_NOBODY):
        (verdict,) = orphans([a_case([1], refused), a_document(1)]).values()
        assert isinstance(verdict, Rejected)
        assert (verdict.code, verdict.covered) == (Code.DOCUMENT_ORPHAN, refused.covered)


def test_a_document_goes_as_its_case_does_where_the_municipality_does_not_want_it() -> None:
    (verdict,) = orphans([a_case([1], Delimited()), a_document(1)]).values()
    assert verdict == Delimited("")


def test_a_document_that_comes_alone_or_with_other_cases_is_none() -> None:
    assert orphans([a_document(1)]) == {}
    assert orphans([a_document(1), a_case([2], REFUSED)]) == {}
