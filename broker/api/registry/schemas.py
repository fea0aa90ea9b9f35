"""Schemas by their ids, and over all subjects."""

from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import Response

from broker.api.core import Core
from broker.api.registry.form import MEDIA_TYPE, SCHEMA_NOT_FOUND, Cored, Prefix, RegistryError, RegistryRoute
from broker.api.registry.versions import page, shown
from broker.store import registry
from broker.store.registry import Version

_LARGEST_ID: Final = 2**31 - 1

router = APIRouter(route_class=RegistryRoute)


@router.get("/")
async def root() -> dict[str, Any]:
    """Something answers."""
    return {}


@router.get("/contexts")
async def contexts() -> list[str]:
    """The default one alone."""
    return ["."]


@router.get("/schemas/types")
async def types() -> list[str]:
    """The kinds of schema that are taken."""
    return ["AVRO"]


@router.get("/schemas/ids/{schema_id}")
async def schema_by_id(schema_id: int, core: Cored) -> dict[str, str]:
    """The schema that framed values name by its id; also after its versions were deleted."""
    return {"schema": await _body(core, schema_id)}


@router.get("/schemas/ids/{schema_id}/schema")
async def raw_schema_by_id(schema_id: int, core: Cored) -> Response:
    """The schema alone."""
    return Response(await _body(core, schema_id), media_type=MEDIA_TYPE)


@router.get("/schemas/ids/{schema_id}/subjects")
async def subjects_of_id(schema_id: int, core: Cored, *, deleted: bool = False) -> list[str]:
    """The subjects that have it."""
    return sorted({one.subject for one in await _versions(core, schema_id, deleted=deleted)})


@router.get("/schemas/ids/{schema_id}/versions")
async def versions_of_id(schema_id: int, core: Cored, *, deleted: bool = False) -> list[dict[str, Any]]:
    """The subjects that have it, and as which version."""
    found = await _versions(core, schema_id, deleted=deleted)
    return [{"subject": one.subject, "version": one.version} for one in found]


@router.get("/schemas")
async def all_schemas(
    core: Cored,
    subjectPrefix: Prefix = "",  # noqa: N803 - the registry's own names
    latestOnly: bool = False,  # noqa: FBT001, FBT002, N803
    deleted: bool = False,  # noqa: FBT001, FBT002
    offset: int = 0,
    limit: int = -1,
) -> list[dict[str, Any]]:
    """Every version of every subject whose name begins so."""
    async with core.pool.connection() as connection:
        found = await registry.versions(connection, prefix=subjectPrefix, deleted=deleted)
    if latestOnly:
        found = list({one.subject: one for one in found}.values())
    return [shown(one) for one in page(found, offset, limit)]


async def _body(core: Core, schema_id: int) -> str:
    if 0 < schema_id <= _LARGEST_ID:
        async with core.pool.connection() as connection:
            body = await registry.schema_of(connection, schema_id)
        if body is not None:
            return body
    raise RegistryError(SCHEMA_NOT_FOUND, "Schema not found")


async def _versions(core: Core, schema_id: int, *, deleted: bool) -> list[Version]:
    await _body(core, schema_id)
    async with core.pool.connection() as connection:
        return await registry.versions(connection, schema_id=schema_id, deleted=deleted)
