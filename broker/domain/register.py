"""The register of authorities: what each is called elsewhere, and who follows whom. Pure.

A merger inherits nothing. Entries, agreements and scopes of an authority that has ceased stay its own, under its own
CVR number, until its agreements are ended; they can only be narrowed by then, and its successor may do it. The
successor signs agreements of its own, and its sources register the cases that it takes over under its number.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from broker.domain.unfit import UnfitError

Body = Mapping[str, Any]
_CODE = re.compile(r"\d{3,4}", re.ASCII)


def four_digits(code: str) -> str:
    """A municipality code as it is written here: some systems leave out the first 0. Raises ValueError."""
    if _CODE.fullmatch(code) is None:
        raise UnfitError("a municipality code has three or four digits")
    return code.zfill(4)


def ceased(body: Body, on: date) -> bool:
    """Whether the authority is no more on that day."""
    return body.get("valid_to") is not None and str(body["valid_to"]) <= on.isoformat()


def find(register: Iterable[Body], identifier: str, on: date) -> dict[str, Any] | None:
    """Whose CVR number, municipality code or SOR code it is; of several, the one that has not ceased."""
    code = identifier.zfill(4)
    found = [
        body
        for body in register
        if identifier == body["cvr"] or code == body.get("municipality_code") or identifier in body.get("sor", ())
    ]
    found.sort(key=lambda body: ceased(body, on))
    return dict(found[0]) if found else None


def conflict(register: Sequence[Body]) -> str | None:
    """Why these cannot stand side by side; None when they can."""
    in_force = [body for body in register if body.get("valid_to") is None]
    codes = Counter(
        code for body in in_force for code in {body.get("municipality_code"), *body.get("sor", ())} - {None}
    )
    twice = sorted(code for code, number in codes.items() if number > 1)
    if twice:
        return f"two authorities have the code {twice[0]}"
    successors = {body["cvr"]: body.get("successor") for body in register}
    for cvr, successor in successors.items():
        after, seen = successor, {cvr}
        while after is not None and after not in seen:
            seen.add(after)
            after = successors.get(after)
        if after is not None:
            return f"{cvr} is succeeded in a circle"
    return None
