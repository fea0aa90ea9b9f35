"""RFC 6901 pointers into what was sent, made so that they say where and never what. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.domain.unfit import UnfitError

# Names as models have them. Anything else is a name that the sender made up, and may itself be personal data.
_NAME: Final = re.compile(r"[A-Za-z_]{1,40}[0-9]{0,3}")
# Other messages pydantic composes of the model alone; a validator's own may quote a value, but for `UnfitError`.
_OWN_WORDS: Final[Mapping[str, str]] = {
    "value_error": "not valid",
    "assertion_error": "not valid",
    "json_invalid": "not well-formed JSON",
    "extra_forbidden": "no such field",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def pointer_of(location: Sequence[int | str]) -> str:
    """The pointer of a place; it ends before a name that cannot be a field's."""
    return "".join(f"/{part}" for part in _known(location))


def flaw_of(flaw: Mapping[str, Any], sent: object, before: Sequence[int | str] = ()) -> tuple[str, str]:
    """Where in what was sent one of pydantic's errors is, and what would be valid there, without a word of it.

    before: what leads to `sent`.
    """
    unfit = flaw.get("ctx", {}).get("error")
    at, words = (unfit.at, str(unfit)) if isinstance(unfit, UnfitError) else ((), None)
    missing = bool(at) or flaw["type"] == "missing"
    location = _sent([*flaw["loc"][len(before) :], *at], sent, missing=missing)
    return pointer_of((*before, *location)), words or _OWN_WORDS.get(flaw["type"], flaw["msg"])


def _sent(location: Sequence[int | str], sent: object, *, missing: bool) -> Iterator[int | str]:
    """What of a location leads through what was sent: neither the list made of a single one nor a union's tags."""
    here: Any = sent
    for place, part in enumerate(location):
        if _has(here, part):
            here = here[part]
        elif not (missing and isinstance(here, Mapping) and place == len(location) - 1):
            continue
        yield part


def _has(here: object, part: int | str) -> bool:
    if isinstance(here, list):
        return isinstance(part, int) and part < len(here)
    return isinstance(here, Mapping) and part in here


def _known(location: Sequence[int | str]) -> Iterator[int | str]:
    for part in location:
        if isinstance(part, str) and _NAME.fullmatch(part) is None:
            return
        yield part
