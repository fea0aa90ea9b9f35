"""A case event at a glance: what counts of a plain one, straight from its bytes. Pure.

A walk over the bundled schema's fields in their order, which tests every rule of `broker.domain.form` as it goes.
Anything unusual ends it, right or wrong: then the long way decides.
"""

from typing import Final

from mypy_extensions import i64

from broker.domain.case import GROUPS, SENSITIVITY, SENSITIVITY_UNSAID, STATES
from broker.domain.entry import PRIMARY, party_ref
from broker.domain.form import (
    ACTOR_ROLES,
    EARLIEST,
    JOURNAL_KINDS,
    LATEST,
    PARTY_FORMS,
    PARTY_ROLES,
    is_web,
    searchable,
)
from broker.domain.identity import has_cpr, is_cpr, is_uuid
from broker.domain.plain import Plain
from broker.stream.avro import Cursor, Unreadable
from broker.stream.framing import BUNDLED, HEADER

OURS: Final = HEADER.pack(0, BUNDLED["case_event"])
_SHAPE: Final = {group: 1 << bit for bit, group in enumerate(GROUPS)}
_MANDATORY: Final = _SHAPE["properties"] | _SHAPE["classification"] | _SHAPE["progress"]
_ACCESS: Final = _SHAPE["access"]
_PARTIES: Final = _SHAPE["parties"]
_ACTORS: Final = _SHAPE["actors"]
_JOURNAL: Final = _SHAPE["journal"]
_PROFILE: Final = _SHAPE["security_profile"]


def glance(value: bytes | None) -> Plain | None:
    """The framed event, when it is plain."""
    if value is None or not value.startswith(OURS):
        return None
    cursor = Cursor(value, HEADER.size)
    try:
        plain = _read(cursor)
    except ValueError:
        return None
    return plain if cursor.at == cursor.end else None


def _read(cursor: Cursor) -> Plain:
    plain = Plain()
    event_id = cursor.text()
    plain.system = cursor.text()
    plain.authority = cursor.text()
    plain.case_id = cursor.text()
    plain.registered_at = _moment(cursor)
    if cursor.some():
        plain.sequence = cursor.long()
    _must(is_uuid(event_id) and is_uuid(plain.case_id))
    plain.identity = bytes.fromhex(event_id.replace("-", ""))
    _must(cursor.text() == "REGISTERED" and not cursor.some() and not cursor.some())
    texts: list[str] = []
    _must(cursor.some())
    _properties(cursor, plain, texts)
    shape = _MANDATORY
    plain.sensitivity = SENSITIVITY_UNSAID
    if cursor.some():
        shape |= _ACCESS
        if cursor.some():
            plain.sensitivity = _level(cursor)
        plain.hidden = cursor.flag()
        plain.named = plain.sensitivity
    _must(cursor.some() and cursor.some())
    plain.kle = cursor.text()
    plain.facet = cursor.text() if cursor.some() else None
    plain.local_code = cursor.text() if cursor.some() else None
    _must(cursor.some())
    _progress(cursor, plain)
    if cursor.some():
        shape |= _PARTIES
        _parties(cursor, plain)
    if cursor.some():
        shape |= _ACTORS
        _actors(cursor)
    if cursor.some():
        shape |= _JOURNAL
        _journal(cursor, plain, texts)
    if cursor.some():
        shape |= _PROFILE
        _profile(cursor, plain)
    _must(not has_cpr("\n".join(texts)))
    plain.shape = shape
    return plain


def _properties(cursor: Cursor, plain: Plain, texts: list[str]) -> None:
    plain.user_key = cursor.text()
    _must(searchable(plain.user_key))
    texts.append(plain.user_key)
    texts.append(cursor.text())
    _skip(cursor)
    _skip(cursor)
    plain.created_at = _moment(cursor)
    _link(cursor, texts)
    _skip(cursor)
    _skip(cursor)


def _progress(cursor: Cursor, plain: Plain) -> None:
    """Listed in their order, each period ended before the next begins."""
    begun = False
    before: i64 = EARLIEST
    until: i64 = EARLIEST
    for _ in range(_items(cursor)):
        state = cursor.text()
        _must(state in STATES)
        begun = begun or state == "OPSTAAET"
        since = _moment(cursor)
        _must(since >= before and since >= until)
        before = until = since
        if cursor.some():
            until = _moment(cursor)
            _must(until >= since)
        plain.state = state
    _must(begun)
    _end(cursor)


def _parties(cursor: Cursor, plain: Plain) -> None:
    count = _items(cursor)
    names: set[str] = set()
    rest: list[str] = []
    for _ in range(count):
        names.add(cursor.text())
        role = cursor.text()
        kind = cursor.text()
        number = cursor.text()
        _must(role in PARTY_ROLES)
        if kind == "CPR":
            _must(is_cpr(number))
        else:
            form = PARTY_FORMS.get(kind)
            _must(form is not None and searchable(number) and form(number))
        _skip(cursor)
        _skip_moment(cursor)
        _skip_moment(cursor)
        _must(not cursor.flag())
        reference = party_ref(kind, number)
        if role != PRIMARY:
            rest.append(f"{role}|{reference}")
        elif plain.primary is None:
            plain.primary = reference
        else:
            plain.others.append(f"{role}|{reference}")
    _must(len(names) == count)
    plain.others += rest
    _end(cursor)


def _actors(cursor: Cursor) -> None:
    count = _items(cursor)
    names: set[str] = set()
    for _ in range(count):
        names.add(cursor.text())
        _must(cursor.text() in ACTOR_ROLES)
        cursor.text()
        _skip(cursor)
        _skip(cursor)
        _skip(cursor)
        _must(not cursor.flag())
    _must(len(names) == count)
    _end(cursor)


def _journal(cursor: Cursor, plain: Plain, texts: list[str]) -> None:
    count = _items(cursor)
    names: set[str] = set()
    for _ in range(count):
        names.add(cursor.text())
        _must(cursor.text() in JOURNAL_KINDS)
        _skip(cursor)
        texts.append(cursor.text())
        _moment(cursor)
        if cursor.some():
            plain.named = max(plain.named, _level(cursor))
        _link(cursor, texts)
        _must(not cursor.flag())
    _must(len(names) == count)
    _end(cursor)


def _profile(cursor: Cursor, plain: Plain) -> None:
    count = _items(cursor)
    names: set[str] = set()
    principals: set[str] = set()
    for _ in range(count):
        names.add(cursor.text())
        principal = cursor.text()
        _must(searchable(principal))
        principals.add(principal)
        _must(not cursor.flag())
    _must(len(names) == count)
    if count:
        plain.principals = sorted(principals)
    _end(cursor)


def _must(plain: bool) -> None:  # noqa: FBT001 - the one thing asked
    if not plain:
        raise Unreadable


def _items(cursor: Cursor) -> i64:
    """How many items a complete list has, in one block."""
    _must(cursor.flag())
    count = cursor.long()
    _must(0 <= count <= cursor.end - cursor.at)
    if count == 0:
        # The block that ends the list has been read: `_end` finds it again.
        cursor.at -= 1
    return count


def _end(cursor: Cursor) -> None:
    _must(cursor.long() == 0)


def _moment(cursor: Cursor) -> i64:
    moment = cursor.long()
    _must(EARLIEST <= moment <= LATEST)
    return moment


def _link(cursor: Cursor, texts: list[str]) -> None:
    if cursor.some():
        link = cursor.text()
        _must(is_web(link))
        texts.append(link)


def _skip(cursor: Cursor) -> None:
    if cursor.some():
        cursor.text()


def _skip_moment(cursor: Cursor) -> None:
    if cursor.some():
        _moment(cursor)


def _level(cursor: Cursor) -> int:
    level = SENSITIVITY.get(cursor.text())
    if level is None:
        raise Unreadable
    return level
