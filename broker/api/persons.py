"""Consents, objections, powers, efforts and person events over HTTP: 202 means committed and in force."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import psycopg
from fastapi import APIRouter, Body, Depends
from fastapi.responses import JSONResponse

from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.problems import Problem, response
from broker.domain.consent import Kind, Registration
from broker.domain.outcome import Code, Rejected
from broker.domain.policy import Role
from broker.intake.persons import read
from broker.security import Token
from broker.settings import Settings
from broker.store import persons
from broker.store.database import connect
from broker.store.persons import Author

router = APIRouter(prefix="/v1", tags=["persons"], route_class=TokenFirst)
MOST: Final = 1000
TRIES: Final = 5
Cored = Annotated[Core, Depends(core_of)]
Registrar = Annotated[Token, Depends(require(Role.CONSENT, Role.CITIZEN))]
# Read by our own words: what is wrong with a registration has a code of its own.
Said = Annotated[Any, Body()]


@router.post("/consents", status_code=202)
async def put_consents(said: Said, core: Cored, token: Registrar) -> JSONResponse:
    """Given, changed, or withdrawn: the same id again."""
    return await _put(core, token, Kind.CONSENT, said)


@router.post("/objections", status_code=202)
async def put_objections(said: Said, core: Cored, token: Registrar) -> JSONResponse:
    """Objected, or lifted: the same id again."""
    return await _put(core, token, Kind.OBJECTION, said)


@router.post("/powers-of-attorney", status_code=202)
async def put_powers(said: Said, core: Cored, token: Registrar) -> JSONResponse:
    """Powers of attorney, custody, guardianship; withdrawn: the same id again."""
    return await _put(core, token, Kind.POWER, said)


@router.post("/efforts", status_code=202)
async def put_efforts(said: Said, core: Cored, token: Registrar) -> JSONResponse:
    """Efforts with their coordinator and members; changed: the same id again."""
    return await _put(core, token, Kind.EFFORT, said)


@router.post("/person-events", status_code=202)
async def put_person_events(said: Said, core: Cored, token: Registrar) -> JSONResponse:
    """What became of persons: another number, a death, a protected address."""
    return await _put(core, token, Kind.PERSON_EVENT, said)


async def _put(core: Core, token: Token, kind: Kind, said: Any) -> JSONResponse:
    """All or none."""
    listed = said if isinstance(said, list) else [said]
    if len(listed) > MOST:
        raise Problem(413, "too_large", f"at most {MOST} at once")
    at = datetime.now(UTC)
    read_each = [read(kind, each, at) for each in listed]
    flaws = {place: each for place, each in enumerate(read_each) if isinstance(each, Rejected)}
    if not flaws:
        registrations = [each for each in read_each if isinstance(each, Registration)]
        flaws = await asyncio.to_thread(_register, core.settings.dsn, registrations, _author(core, token))
    if flaws:
        return _refused(kind, flaws)
    return JSONResponse({"accepted": len(listed)}, 202)


class _NoneOfItError(Exception):
    """Something of it cannot be taken, so nothing is."""


def _register(dsn: str, registrations: Sequence[Registration], author: Author) -> dict[int, Rejected]:
    """Blocking: few come, and the register has one way in for all."""
    flaws: dict[int, Rejected] = {}
    with connect(dsn, "api-register") as connection:
        for left in reversed(range(TRIES)):
            try:
                with connection.transaction():
                    flaws = persons.put(connection, registrations, author)
                    if flaws:
                        raise _NoneOfItError  # noqa: TRY301 - that is how a transaction is taken back
            except _NoneOfItError:
                break
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if not left:
                    raise
            else:
                break
    return flaws


def _author(core: Core, token: Token) -> Author:
    name = token.name or token.subject
    if token.role is Role.CITIZEN:
        # A token without a number is nobody's: no registration is of an empty one.
        return Author("citizen", frozenset(), token.citizen or "")
    return Author(name, token.authorities, registrar=is_registrar(token.authorities, core.settings))


def is_registrar(authorities: frozenset[str], settings: Settings) -> bool:
    """Whether a consent token of these authorities may say what only the civil register knows."""
    named = settings.cpr_registrars
    return settings.jwks_url is None if named is None else not authorities.isdisjoint(named)


def _refused(kind: Kind, flaws: dict[int, Rejected]) -> JSONResponse:
    first = flaws[min(flaws)]
    status = 403 if first.code is Code.CONSENT_AUTHORITY else 422
    rejected = [
        {"index": place, "code": str(flaw.code), "detail": flaw.detail, "pointer": flaw.pointer}
        | {"remedy": _remedy(kind, flaw)}
        for place, flaw in sorted(flaws.items())
    ]
    return response(status, str(first.code), "nothing of it was registered", rejected=rejected)


def _remedy(kind: Kind, flaw: Rejected) -> str:
    """What is wrong in itself is corrected, and here it is known which kind it is."""
    malformed = flaw.code is Code.CONSENT_MALFORMED
    return f"Correct the {kind.value.replace('_', ' ')}." if malformed else flaw.remedy
