"""Registrations in the shapes of the contract, and putting them into a real register."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker.domain.consent import Kind, Registration
from broker.domain.outcome import Rejected
from broker.intake.persons import read
from broker.store import persons
from broker.store.database import connect
from broker.store.persons import Author

AUTHORITY: Final = "55133018"
CPR: Final = "0101014444"
OTHER_CPR: Final = "0202024444"
NEW_CPR: Final = "0303034444"
EFFORT: Final = "e0000000-0000-4000-8000-000000000001"
MEMBER: Final = "principal-1"
REGISTRAR: Final = Author("Register", frozenset({AUTHORITY}), registrar=True)
LONG_AGO: Final = "2024-01-01T00:00:00.000000Z"


def soon(seconds: float = 0) -> str:
    """A moment from now."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def an_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def consent(**more: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "consent_id": an_id(1),
        "citizen": CPR,
        "purpose": "hoi",
        "effort_id": EFFORT,
        "data_areas": ["27.*"],
        "data_authorities": [AUTHORITY],
        "recipient_areas": ["15.*"],
        "recipient_authorities": [AUTHORITY],
        "asked_by_authority": AUTHORITY,
        "evidence": {"method": "DIGITAL", "document_id": "d-1", "sha256": None, "text_version": "1"},
        "registered_at": LONG_AGO,
        "signed_at": LONG_AGO,
        "valid_from": LONG_AGO,
        **more,
    }
    return {"given_by": {"id_type": "CPR", "id": said["citizen"], "capacity": "SELF"}, **said}


def withdrawn(**more: Any) -> dict[str, Any]:
    return consent(registered_at=soon(), withdrawn_at=soon(), **more)


def effort(**more: Any) -> dict[str, Any]:
    return {
        "effort_id": EFFORT,
        "citizen": CPR,
        "authority": AUTHORITY,
        "coordinator": "principal-9",
        "members": [MEMBER],
        "valid_from": LONG_AGO,
        "registered_at": LONG_AGO,
        **more,
    }


def objection(**more: Any) -> dict[str, Any]:
    return {
        "objection_id": an_id(2), "citizen": CPR, "overview": "hoi", "from": LONG_AGO, "registered_at": LONG_AGO, **more
    }  # fmt: skip


def power(**more: Any) -> dict[str, Any]:
    return {
        "power_id": an_id(3),
        "kind": "POWER_OF_ATTORNEY",
        "citizen": CPR,
        "representative": OTHER_CPR,
        "kle": ["27.*"],
        "valid_from": LONG_AGO,
        "registered_at": LONG_AGO,
        **more,
    }


def person_event(kind: str, number: int = 4, **more: Any) -> dict[str, Any]:
    return {"event_id": an_id(number), "citizen": CPR, "kind": kind, "effective_from": LONG_AGO, **more}


def registration(kind: Kind, said: dict[str, Any]) -> Registration:
    made = read(kind, said, datetime.now(UTC))
    assert isinstance(made, Registration), made
    return made


def put(dsn: str, *said: dict[str, Any], author: Author = REGISTRAR) -> dict[int, Rejected]:
    """Put all in one transaction; what each is, its fields tell."""
    with connect(dsn, "test") as connection, connection.transaction():
        return persons.put(connection, [registration(kind_of(each), each) for each in said], author)


def kind_of(said: dict[str, Any]) -> Kind:
    names = {"consent_id": Kind.CONSENT, "objection_id": Kind.OBJECTION, "power_id": Kind.POWER}
    named = next((kind for name, kind in names.items() if name in said), None)
    return named or (Kind.PERSON_EVENT if "event_id" in said else Kind.EFFORT)
