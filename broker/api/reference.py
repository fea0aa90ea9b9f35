"""Agreements, delimitations, citizen views and authorities over HTTP: what the commands do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BeforeValidator

from broker.api.auth import TokenFirst, require
from broker.api.core import Connection, Core, core_of
from broker.api.problems import Problem
from broker.domain.policy import Role
from broker.overviews.request import Text
from broker.security import Token
from broker.store import reference
from broker.store.reference import NotYoursError, Putter, RegisterConflictError, TransitionRefusedError
from broker.store.shapes import Agreement, Authority, CitizenView, Cvr, Delimitation

router = APIRouter(prefix="/v1", tags=["reference"], route_class=TokenFirst)


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


Cored = Annotated[Core, Depends(core_of)]
Keeper = Annotated[Token, Depends(require(Role.ONBOARDING, Role.OPERATOR))]
Anyone = Annotated[Token, Depends(require(*Role))]
Agreements = Annotated[list[Agreement], BeforeValidator(_listed)]
Delimitations = Annotated[list[Delimitation], BeforeValidator(_listed)]
CitizenViews = Annotated[list[CitizenView], BeforeValidator(_listed)]
Authorities = Annotated[list[Authority], BeforeValidator(_listed)]
Bodies = list[dict[str, Any]]


@router.put("/agreements")
async def put_agreements(agreements: Agreements, core: Cored, token: Keeper) -> Bodies:
    """Sender and reader agreements, one or a list, told apart by their fields."""
    async with _changing(core) as connection:
        return await reference.put_agreements(connection, agreements, _putter(token))


@router.get("/agreements")
async def get_agreements(core: Cored, token: Keeper) -> Bodies:
    """The newest version of every agreement of the token's authorities."""
    async with core.pool.connection() as connection:
        return _own(await reference.agreements(connection), token)


@router.get("/agreements/{authority}/{of}")
async def get_history(authority: Cvr, of: Text, core: Cored, token: Keeper) -> Bodies:
    """Every version of the agreements with a system, or for an overview: who put it, as what, when and why."""
    async with core.pool.connection() as connection:
        versions = _own(await reference.history(connection, authority, of), token)
    if not versions:
        raise Problem(404, "not_found", "there is no such agreement")
    return versions


@router.get("/ask-again")
async def get_asked_again(core: Cored, token: Keeper) -> Bodies:
    """Sources that have still to be asked again, since something was widened; a load or reconciliation closes them."""
    async with core.pool.connection() as connection:
        return await reference.asked_again(connection, token.authorities)


@router.put("/citizen-views")
async def put_citizen_views(views: CitizenViews, core: Cored, token: Keeper) -> Bodies:
    """Replaces all switches of every authority that is named; their entries are decided on anew at once."""
    async with _changing(core) as connection:
        return await reference.put_citizen_views(connection, views, _putter(token))


@router.delete("/citizen-views/{authority}")
async def clear_citizen_views(authority: Cvr, core: Cored, token: Keeper) -> dict[str, Any]:
    """The authority shows its citizens nothing; what it showed before is kept as a version."""
    async with _changing(core) as connection:
        return await reference.clear_citizen_views(connection, authority, _putter(token))


@router.get("/citizen-views")
async def get_citizen_views(core: Cored, token: Keeper) -> Bodies:
    """What the token's authorities let their citizens see."""
    async with core.pool.connection() as connection:
        return _own(await reference.citizen_views(connection), token)


@router.put("/delimitations")
async def put_delimitations(choices: Delimitations, core: Cored, token: Keeper) -> Bodies:
    """Replaces the whole list of every authority that is named."""
    async with _changing(core) as connection:
        return await reference.put_delimitations(connection, choices, _putter(token))


@router.delete("/delimitations/{authority}")
async def clear_delimitations(authority: Cvr, core: Cored, token: Keeper) -> dict[str, Any]:
    """The authority leaves nothing out any more; what it wanted before is kept as a version."""
    async with _changing(core) as connection:
        return await reference.clear_delimitations(connection, authority, _putter(token))


@router.get("/delimitations")
async def get_delimitations(core: Cored, token: Keeper) -> Bodies:
    """What the token's authorities want in the index."""
    async with core.pool.connection() as connection:
        return _own(await reference.delimitations(connection), token)


@router.put("/authorities")
async def put_authorities(authorities: Authorities, core: Cored, token: Keeper) -> Bodies:
    """Adds or replaces."""
    async with _changing(core) as connection:
        return await reference.put_authorities(connection, authorities, _putter(token))


@router.get("/authorities")
async def get_authorities(core: Cored, _token: Anyone) -> Bodies:
    """Every authority there is."""
    async with core.pool.connection() as connection:
        return await reference.authorities(connection)


@router.get("/authorities/{identifier}")
async def get_authority(identifier: Text, core: Cored, _token: Anyone) -> dict[str, Any]:
    """The one that has this CVR number, municipality code of three or four digits, or SOR code."""
    async with core.pool.connection() as connection:
        found = await reference.authority(connection, identifier)
    if found is None:
        raise Problem(404, "not_found", "no authority has this code")
    return found


@asynccontextmanager
async def _changing(core: Core) -> AsyncIterator[Connection]:
    try:
        async with core.pool.connection() as connection:
            yield connection
    except TransitionRefusedError as refused:
        raise Problem(409, "transition_refused", str(refused)) from None
    except RegisterConflictError as refused:
        raise Problem(409, "register_conflict", str(refused)) from None
    except NotYoursError as refused:
        raise Problem(403, "forbidden", str(refused)) from None


def _putter(token: Token) -> Putter:
    return Putter(token.name or token.subject, token.role, token.authorities)


def _own(bodies: Bodies, token: Token) -> Bodies:
    return [body for body in bodies if body["authority"] in token.authorities]
