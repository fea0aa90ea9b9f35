"""A payload without anything that may be personal data: its form is left, and the words of the standards. Pure.

What is left is told by field and form together, never by the sender's word for it: a name in the field of a KLE number
is masked, and so is a KLE number in the field of a name. Names of fields are left; what is not one is masked.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from broker.domain.case import SENSITIVITY, STATES
from broker.domain.form import ACTOR_ROLES, JOURNAL_KINDS, PARTY_FORMS, PARTY_ROLES, REMOVAL_REASONS
from broker.domain.identity import is_cvr, is_system, is_uuid

WORDS: Final = frozenset(
    {"REGISTERED", "REMOVED", *REMOVAL_REASONS, *STATES, *SENSITIVITY}
    | {*PARTY_FORMS, *PARTY_ROLES, *ACTOR_ROLES, *JOURNAL_KINDS}
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_KLE = re.compile(r"\d\d\.\d\d\.\d\d", re.ASCII)
_FACET = re.compile(r"[A-ZÆØÅ]\d\d", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_@][A-Za-z0-9_@.:-]{0,59}", re.ASCII)
_SIX_DIGITS = re.compile(r"\d{6}", re.ASCII)
_MICROSECONDS: Final = range(10**14, 10**16)
DEEPEST: Final = 100


def _time(value: object) -> bool:
    """Of registrations and of their effect, never of a birth."""
    if isinstance(value, int):
        return value in _MICROSECONDS
    return isinstance(value, str) and _TIME.fullmatch(value) is not None


def _text(form: Callable[[str], object]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and bool(form(value))


LEFT: Final[dict[str, Callable[[object], bool]]] = {
    "system": _text(is_system),
    "authority": _text(is_cvr),
    "case_id": _text(is_uuid),
    "document_id": _text(is_uuid),
    "kle": _text(_KLE.fullmatch),
    "facet": _text(_FACET.fullmatch),
    **dict.fromkeys(("registered_at", "created_at", "effective_from", "effective_to"), _time),
}
"""Fields of canonical events whose values are left where they have this form."""


def masked(value: object, field: str = "", depth: int = 0) -> Any:
    """The same of parsed JSON; a leaf that is masked says its kind, and of a text its length."""
    if depth > DEEPEST:
        return "<deeper>"
    if isinstance(value, dict):
        return {
            name if is_field(name) else f"<field {place}>": masked(one, name, depth + 1)
            for place, (name, one) in enumerate(value.items())
        }
    if isinstance(value, list | tuple):
        return [masked(one, field, depth + 1) for one in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and value in WORDS:
        return value
    if field in LEFT and LEFT[field](value):
        return value
    if isinstance(value, str | bytes):
        return f"<{'text' if isinstance(value, str) else 'bytes'} {len(value)}>"
    return "<number>"


def is_field(name: object) -> bool:
    """Whether it reads as the name of a field: no spaces, and no number that could be somebody's."""
    return isinstance(name, str) and _FIELD.fullmatch(name) is not None and _SIX_DIGITS.search(name) is None
