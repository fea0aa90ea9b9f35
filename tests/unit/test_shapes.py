"""What operators put is kept as it is: what cannot be kept is refused where it stands."""

from typing import Any

import pytest
from pydantic import ValidationError

from broker.settings import Webhook
from broker.store.kle_shapes import LOCAL, RULES
from broker.store.shapes import AGREEMENTS, Authority

SENDER: dict[str, Any] = {
    "authority": "29189668",
    "system": "sbsys",
    "state": "SIGNED",
    "kle": ["27.*"],
    "sensitivity": "VIP_SAGER",
    "from_date": "2026-01-01",
}
CLARIFIED = {"domain": "Børn", "case": "x", "primary_party": "x", "states": {"x": "OPLYST"}, "kle": ["27.*"]}
READER = {name: said for name, said in SENDER.items() if name != "system"} | {"overview": "sapa", "client": "fag"}
AUTHORITY = {"cvr": "29189668", "name": "Aalborg"}
LOCAL_NUMBER = {"authority": "29189668", "number": "27.36.04", "from": "2026-01-01", "title": "x"}
RULE = {
    "authority": "29189668",
    "system": "sbsys",
    "match": {"local_code": "x"},
    "to": {"kle": "27.36.04"},
    "from": "2026-01-01",
}


@pytest.mark.parametrize("sign", ["\0", "\ud800"])
@pytest.mark.parametrize(
    ("shape", "said", "where"),
    [
        (AGREEMENTS, SENDER, "signed_by"),
        (AGREEMENTS, SENDER, "reason"),
        (AGREEMENTS, {**SENDER, "clarification": [CLARIFIED]}, "clarification/0/domain"),
        (AGREEMENTS, {**SENDER, "clarification": [CLARIFIED]}, "clarification/0/case"),
        (AGREEMENTS, {**SENDER, "clarification": [CLARIFIED]}, "clarification/0/primary_party"),
        (AGREEMENTS, {**SENDER, "clarification": [CLARIFIED]}, "clarification/0/states"),
        (AGREEMENTS, READER, "client"),
        (Authority, AUTHORITY, "name"),
        (LOCAL, LOCAL_NUMBER, "title"),
        (RULES, RULE, "match/local_code"),
    ],
)
def test_a_text_that_cannot_be_kept_is_refused(shape: Any, said: dict[str, Any], where: str, sign: str) -> None:
    def read(value: dict[str, Any]) -> object:
        return shape.model_validate(value) if shape is Authority else shape.validate_python([value])

    read(said)
    with pytest.raises(ValidationError):
        read(_with(said, where.split("/"), f"a{sign}b"))


def _with(said: Any, path: list[str], text: str) -> Any:
    first, *rest = path
    if isinstance(said, list):
        return [_with(said[int(first)], rest, text)]
    if first == "states":
        return {**said, first: {text: "OPLYST"}}
    return {**said, first: _with(said[first], rest, text) if rest else text}


@pytest.mark.parametrize(
    "url", ["https://vendor..dk/", f"https://{'a' * 64}.dk/", "https:///path", "ftp://vendor.dk/", "https://[::1/", ""]
)
def test_a_webhook_has_an_address_that_can_be_looked_for(url: str) -> None:
    assert Webhook(url="https://vendor.dk/sagsbro", secret="SECRET").url  # noqa: S106 - the name of a variable
    with pytest.raises(ValidationError):
        Webhook(url=url, secret="SECRET")  # noqa: S106 - the same
