"""Parts of the canonical event that case systems' translations share. Pure.

Details of a rejection name what was expected, never what was sent.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from broker.domain.case import SENSITIVITY, CaseEvent, ItemGroup
from broker.domain.form import PARTY_FORMS
from broker.domain.identity import has_cpr, is_cpr, is_cvr, is_uuid, vendor_event_id, without_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.configuration import table
from connectors.flaws import rejection
from connectors.payload import digest_of
from connectors.person import bare, id_type, item_id

_CASES: Final = uuid.UUID("0d3c5a52-7a27-5c0b-8d53-6b1f0c7f4b21")
# A number written like this stands for nobody: the CPR form is read in several systems, the others are inferred.
_NOBODY: Final = frozenset({"", "0000000000", "00000000"})
_AS_WRITTEN: Final = frozenset({"FREE", "URN"})


class Named(NamedTuple):
    """Somebody as the payload names them, before the number is looked at; `where` is the number's pointer.

    `kind`: what the number is said to be; None where it tells that itself. CPR may turn out to be ECPR.
    """

    role: str
    number: str
    name: str | None
    where: str
    kind: str | None = None


def translated(
    payload: object,
    made: Callable[[Mapping[str, Any], str], CaseEvent | Rejected | None],
    people: frozenset[str] = frozenset(),
    at: str = "",
    content: Callable[[Mapping[str, Any]], object] = lambda payload: payload,
) -> Sequence[CaseEvent] | Rejected:
    """What a translation begins and ends with: an object, its digest; what a model finds wrong is a rejection.

    Args:
        payload: as `split` found it.
        made: (payload, digest) -> its event; None where it is no case. The only one that may raise ValidationError.
        people: the outermost fields that say who the case is about.
        at: the pointer of what `made` validates.
        content: what of the payload makes it another when it differs.
    """
    if not isinstance(payload, dict):
        return Rejected(Code.SCHEMA_VIOLATION, "", "an object")
    digest = digest_of(content(payload))
    if isinstance(digest, Rejected):
        return digest
    try:
        event = made(payload, digest)
    except ValidationError as error:
        return rejection(error, people, at)
    if event is None:
        return []
    return event if isinstance(event, Rejected) else [event]


def complete(items: Iterable[dict[str, Any]]) -> ItemGroup:
    """A list that is all there is."""
    return {"complete": True, "items": list(items)}


def case_id(source: Source, local: str) -> str:
    """A key that is a UUID stands for itself; of any other a UUID v5 is made, the same each time."""
    key = local.strip("{}").lower()
    return key if is_uuid(key) else str(uuid.uuid5(_CASES, f"{source.authority}|{source.system}|{local}"))


def envelope(source: Source, case: str, at: int, digest: str, change: str = "REGISTERED") -> CaseEvent:
    """The event's head; `at` in microseconds since 1970, UTC."""
    return {
        "event_id": vendor_event_id(source.system, source.authority, case, at, digest),
        "system": source.system,
        "authority": source.authority,
        "case_id": case,
        "registered_at": at,
        "change": change,
    }


def progress(state: str, created: int, since: int | None, where: str, within: int = 0) -> ItemGroup | Rejected:
    """Of a payload that knows the state of today only: OPSTAAET is known from when the case arose.

    Args:
        since: when the state of today began, microseconds; not needed for OPSTAAET.
        where: the pointer of `since`.
        within: how exact `since` is, microseconds; as much earlier than `created` it may be.
    """
    if state == "OPSTAAET":
        return complete([{"state": "OPSTAAET", "effective_from": created}])
    if since is None:
        return Rejected(Code.MANDATORY_MISSING, where, "since when the status holds")
    if since < created - within:
        return Rejected(Code.VIRKNING_OVERLAP, where, "the status holds from before the case arose")
    since = max(since, created)
    return complete(
        [
            {"state": "OPSTAAET", "effective_from": created, "effective_to": since},
            {"state": state, "effective_from": since},
        ]
    )


def steps(begun: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    """States and since when: each ends where the next begins."""
    ends = [*(at for _, at in begun[1:]), None]
    return [
        {"state": state, "effective_from": at} | ({} if end is None else {"effective_to": end})
        for (state, at), end in zip(begun, ends, strict=True)
    ]


def by_code(codes: Iterable[str | None], config: Mapping[str, Any], local: str | None) -> dict[str, Any]:
    """By the table `kle` of the configuration: code -> {"kle", "facet"}, the first of the codes that has a row.

    Where none has, the broker's rules have the only word. The local code goes along.
    """
    rows = table(config, "kle")
    for code in codes:
        row = None if code is None else rows.get(code)
        if isinstance(row, Mapping) and isinstance(row.get("kle"), str):
            facet = row.get("facet")
            return {"kle": row["kle"], "facet": facet if isinstance(facet, str) else None, "local_code": local}
    return {"kle": None, "facet": None, "local_code": local}


def sensitivity(
    said: str | None, config: Mapping[str, Any], where: str, known: Mapping[str, str] = MappingProxyType({})
) -> str | Rejected | None:
    """By the table `sensitivity` of the configuration, else by the connector's own (in lower case).

    What is said and in neither is refused: closed is the safe mistake.

    None, where nothing is said, is said aloud: it reads as sensitive, and an older, lower level must not outlive it.
    """
    if said is None or not said.strip():
        return None
    word = said.strip().lower()
    own = table(config, "sensitivity")
    level = next((to for key, to in own.items() if str(key).strip().lower() == word), None) or known.get(word)
    if isinstance(level, str) and level in SENSITIVITY:
        return level
    return Rejected(Code.SENSITIVITY_UNKNOWN, where, "no mapping of this level; put it in the configuration")


def security_profile(said: object, config: Mapping[str, Any], name: str, where: str) -> ItemGroup | Rejected | None:
    """By the table `name` of the configuration: group or unit -> principal ids. None without such a table.

    What is not in it is refused: unknown must not read as unrestricted.
    """
    groups = table(config, name)
    if not groups:
        return None
    if said is None:
        return complete([])
    principals = groups.get(str(said))
    if not isinstance(principals, list | tuple) or not principals:
        return Rejected(Code.SENSITIVITY_UNKNOWN, where, "no mapping of this group; put it in the configuration")
    named = sorted({str(principal) for principal in principals})
    return complete({"item_id": name, "principal_id": name} for name in named)


def parties(case: str, named: Iterable[Named]) -> ItemGroup | Rejected:
    """Everybody with a number, the primary first, nobody twice."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for one in sorted(named, key=lambda each: each.role != "PRIMARY"):
        number = one.number.strip() if one.kind in _AS_WRITTEN else bare(one.number)
        if number in _NOBODY:
            continue
        kind = _kind(one.kind, number)
        if kind is None:
            return Rejected(Code.PARTY_MALFORMED, one.where, f"not of the form of {one.kind or 'CPR, eCPR or CVR'}")
        found.setdefault(
            (kind, number),
            {
                "item_id": item_id(case, one.role, kind, number),
                "role": one.role,
                "id_type": kind,
                "id": number,
                "name": without_cpr(one.name) if one.name else None,
            },
        )
    return complete(found.values())


def _kind(said: str | None, number: str) -> str | None:
    """What the number is, if it is of that form."""
    match said:
        case None:
            return id_type(number) or ("CVR" if is_cvr(number) else None)
        case "CPR":
            return id_type(number)
        case "FREE" if is_cpr(bare(number)):
            # It would be found, and kept apart, as what it is not.
            return None
        case _:
            return said if PARTY_FORMS[said](number) else None


def actor(role: str, identifier: str | None, name: str | None = None) -> Iterator[dict[str, Any]]:
    """Nobody, when the identifier is missing or is itself a CPR number; by chance a UUID can read as one."""
    if identifier and (is_uuid(identifier.lower()) or not has_cpr(identifier)):
        yield {
            "item_id": f"{role}:{identifier}",
            "role": role,
            "id": identifier,
            "name": without_cpr(name) if name else None,
        }


def document(identifier: str, title: str, at: int) -> dict[str, Any]:
    """A document in the journal; `at` in microseconds since 1970, UTC."""
    return {
        "item_id": item_id("DOCUMENT", identifier),
        "kind": "DOCUMENT",
        "title": title,
        "registered_at": at,
    }
