"""What pydantic found wrong -> one rejection the vendor can act on, without a word of the payload in it. Pure."""

from typing import Final

from pydantic import ValidationError

from broker.domain.outcome import Code, Rejected

# The beginning of pydantic's error type -> what was expected. Its own messages can quote the value.
_EXPECTED: Final = (
    ("string_too_long", "a shorter text"),
    ("string", "a text"),
    ("uuid", "a UUID"),
    ("int", "a whole number"),
    ("bool", "true or false"),
    ("zoned", "a date and time in ISO 8601 with its zone"),
    ("day", "a day, or a date and time, in ISO 8601"),
    ("value_error", "a date and time in ISO 8601"),
    ("model", "an object"),
    ("tuple", "a list"),
)


def rejection(error: ValidationError, parties: frozenset[str] = frozenset(), at: str = "") -> Rejected:
    """The first flaw; a field that is null where one is needed counts as missing.

    Args:
        parties: the outermost fields that say who the case is about.
        at: the pointer of what was validated.
    """
    flaw = error.errors(include_url=False, include_context=False)[0]
    where = at + pointer(*flaw["loc"])
    if flaw["type"] == "missing" or (flaw["input"] is None and flaw["loc"]):
        return Rejected(Code.MANDATORY_MISSING, where, "the field is missing")
    code = Code.PARTY_MALFORMED if parties.intersection(map(str, flaw["loc"][:1])) else Code.SCHEMA_VIOLATION
    return Rejected(
        code, where, next((said for kind, said in _EXPECTED if flaw["type"].startswith(kind)), "another form")
    )


def pointer(*steps: str | int) -> str:
    """RFC 6901."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)
