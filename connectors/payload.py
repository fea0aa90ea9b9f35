"""Payloads in JSON: reading a body, the fields that a vendor's model names and those it does not, a digest. Pure."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Final, get_args

import orjson
from pydantic import AliasChoices, BaseModel, ConfigDict

from broker.domain.outcome import Code, Rejected

_BOM: Final = b"\xef\xbb\xbf"
# A name as a programmer writes one. Anything else may be data in a name's place, and is not repeated.
_NAME: Final = re.compile(r"[^\W\d][\w-]{0,39}")
_OTHER: Final = "(other)"

Model = type[BaseModel]


class Payload(BaseModel):
    """Unknown fields are ignored: the vendor adds some with every release."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def parsed(body: bytes) -> object | Rejected:
    """A body's JSON value. Of a doubled key the last stands; depth is bounded by the parser."""
    try:
        value: object = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed JSON in UTF-8")
    return value


def listed(body: bytes, detail: str) -> Sequence[object] | Rejected:
    """One payload, or a list of them; `detail` says of any other JSON what was expected."""
    found = parsed(body)
    if isinstance(found, dict):
        return [found]
    return found if isinstance(found, list | Rejected) else Rejected(Code.MALFORMED_PAYLOAD, "", detail)


def digest_of(payload: object) -> str | Rejected:
    """The content's SHA-256, whatever the order of its fields."""
    try:
        canonical = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # No parser that we use yields such a value: half a surrogate pair, a number of thousands of digits.
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not JSON, or nested too deep")
    return hashlib.sha256(canonical).hexdigest()


def unknown_fields(payload: object, *models: Model) -> Counter[str]:
    """Which fields of a payload none of the models names, and how often each stands there. Never a value.

    A field inside another is written `Outer.Inner`; lists do not count as a place. A model's own extra fields, if it
    keeps them, are unknown all the same.
    """
    return Counter(_unknown(payload, models, ""))


def _unknown(value: object, models: Iterable[Model], inside: str) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _unknown(one, models, inside)
    elif isinstance(value, dict):
        known: dict[str, tuple[Model, ...]] = {}
        for model in models:
            for name, under in _fields(model).items():
                known[name] = (*known.get(name, ()), *under)
        for name, inner in value.items():
            if name not in known:
                yield inside + (name if _NAME.fullmatch(name) and not any(map(str.isdigit, name)) else _OTHER)
            elif known[name]:
                yield from _unknown(inner, known[name], f"{inside}{name}.")


@cache
def _fields(model: Model) -> dict[str, tuple[Model, ...]]:
    """Each name that a model reads, and the models of what stands there."""
    found: dict[str, tuple[Model, ...]] = {}
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        found |= {str(one): tuple(_models(field.annotation)) for one in names}
    return found


def _models(annotation: Any) -> Iterator[Model]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
