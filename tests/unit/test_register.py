"""Who an authority is by any of its codes, and what cannot stand side by side in the register."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.register import ceased, conflict, find, four_digits

ON = date(2025, 6, 1)
OLD, NEW, UDK = "29189420", "55133018", "33236252"


def body(cvr: str, code: str | None = None, **more: Any) -> dict[str, Any]:
    return {"cvr": cvr, "municipality_code": code, "sor": [], "valid_to": None, "successor": None, **more}


@given(st.integers(1, 999))
def test_a_code_of_three_digits_is_the_same_as_one_of_four(code: int) -> None:
    assert four_digits(f"{code:03}") == four_digits(f"{code:04}") == f"{code:04}"
    assert find([body(NEW, f"{code:04}")], f"{code:03}", ON) == body(NEW, f"{code:04}")


@pytest.mark.parametrize("code", ["", "75", "07511", "07a1", "٠٧٥١"])
def test_what_is_no_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="three or four digits"):
        four_digits(code)


def test_an_authority_is_found_by_its_organisation_number_its_code_and_its_sor_codes() -> None:
    register = [body(NEW, "0751", sor=["999000000016001"]), body(UDK, kind="UDK")]
    found = {code: find(register, code, ON) for code in ("0751", "751", NEW, "999000000016001", UDK, "0752")}
    assert [one and one["cvr"] for one in found.values()] == [NEW, NEW, NEW, NEW, UDK, None]


def test_of_two_that_have_had_a_code_the_one_that_has_not_ceased_is_meant() -> None:
    old = body(OLD, "0751", valid_to="2025-01-01", successor=NEW)
    new = body(NEW, "0751")
    assert find([old, new], "751", ON) == find([new, old], "751", ON) == new
    assert find([old], "751", ON) == old
    assert [ceased(old, day) for day in (date(2024, 12, 31), date(2025, 1, 1))] == [False, True]
    assert conflict([old, new]) is None


@pytest.mark.parametrize(
    "register",
    [
        [body(OLD, "0751"), body(NEW, "0751")],
        [body(OLD, sor=["99900000001"]), body(NEW, sor=["99900000001"])],
        [body(OLD, successor=OLD)],
        [body(OLD, valid_to="2025-01-01", successor=NEW), body(NEW, successor=OLD)],
    ],
)
def test_two_cannot_have_one_code_nor_succeed_each_other_in_a_circle(register: list[dict[str, Any]]) -> None:
    assert conflict(register) is not None
