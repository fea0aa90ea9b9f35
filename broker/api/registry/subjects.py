"""Subjects and their versions: listed, read, looked up, registered, deleted."""

from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from broker.api.core import Connection
from broker.api.registry.form import (
    INCOMPATIBLE,
    MEDIA_TYPE,
    NOT_PERMITTED,
    SCHEMA_NOT_FOUND,
    SUBJECT_NOT_SOFT_DELETED,
    SUBJECT_SOFT_DELETED,
    VERSION_NOT_SOFT_DELETED,
    VERSION_SOFT_DELETED,
    WRITERS_ONLY,
    Cored,
    Offered,
    Prefix,
    RegistryError,
    RegistryRoute,
    Subject,
    writer,
    writing,
)
from broker.api.registry.rules import Mode, judged, level_of, mode_of
from broker.api.registry.versions import chosen, known, page, shown
from broker.store import registry

MOST_TOLD: Final = 10  # disagreements in one message

router = APIRouter(prefix="/subjects", route_class=RegistryRoute)


@router.get("")
async def list_subjects(
    core: Cored,
    subjectPrefix: Prefix = "",  # noqa: N803 - the registry's own names
    deleted: bool = False,  # noqa: FBT001, FBT002
    deletedOnly: bool = False,  # noqa: FBT001, FBT002, N803
    deleted_only: bool = False,  # noqa: FBT001, FBT002 - what the Python client says instead
    offset: int = 0,
    limit: int = -1,
) -> list[str]:
    """Every subject whose name begins so."""
    gone = deletedOnly or deleted_only
    async with core.pool.connection() as connection:
        every = await registry.versions(connection, prefix=subjectPrefix, deleted=deleted or gone)
    living = {one.subject for one in every if not one.deleted}
    names = [name for name in dict.fromkeys(one.subject for one in every) if not (gone and name in living)]
    return list(page(names, offset, limit))


@router.get("/{subject}/versions")
async def list_versions(
    subject: Subject,
    core: Cored,
    deleted: bool = False,  # noqa: FBT001, FBT002
    deletedOnly: bool = False,  # noqa: FBT001, FBT002, N803
    offset: int = 0,
    limit: int = -1,
) -> list[int]:
    """The versions of a subject."""
    async with core.pool.connection() as connection:
        found = await known(connection, subject, deleted=deleted or deletedOnly)
    return list(page([one.version for one in found if one.deleted or not deletedOnly], offset, limit))


@router.get("/{subject}/versions/{version}")
async def one_version(subject: Subject, version: str, core: Cored, *, deleted: bool = False) -> dict[str, Any]:
    """One version, by number or `latest`."""
    async with core.pool.connection() as connection:
        return shown(await chosen(connection, subject, version, deleted=deleted))


@router.get("/{subject}/versions/{version}/schema")
async def raw_version(subject: Subject, version: str, core: Cored, *, deleted: bool = False) -> Response:
    """The schema of one version alone."""
    async with core.pool.connection() as connection:
        found = await chosen(connection, subject, version, deleted=deleted)
    return Response(found.body, media_type=MEDIA_TYPE)


@router.get("/{subject}/versions/{version}/referencedby")
async def referenced_by(subject: Subject, version: str, core: Cored) -> list[int]:
    """No schema refers to another here."""
    async with core.pool.connection() as connection:
        await chosen(connection, subject, version)
    return []


@router.post("/{subject}")
async def look_up(subject: Subject, offered: Offered, core: Cored, *, deleted: bool = False) -> dict[str, Any]:
    """Which version of the subject this schema is."""
    digest = await offered.digest()
    async with core.pool.connection() as connection:
        await known(connection, subject, deleted=deleted)
        found = await registry.find(connection, subject, digest, deleted=deleted)
    if found is None:
        raise RegistryError(SCHEMA_NOT_FOUND, "Schema not found")
    return shown(found)


@router.post("/{subject}/versions")
async def register(subject: Subject, offered: Offered, core: Cored, request: Request) -> dict[str, int]:
    """Make it the subject's next version; one that it has already keeps its id, and needs no token."""
    digest = await offered.digest()
    async with core.pool.connection() as connection:
        found = await registry.find(connection, subject, digest)
    if found is not None:
        return {"id": found.schema_id}
    await writer(request)
    if offered.id is not None or offered.version is not None:
        raise RegistryError(NOT_PERMITTED, "Ids and versions are given out here: the subject is not in import mode")
    async with writing(core) as connection:
        return {"id": await _registered(connection, subject, offered.text, digest)}


@router.delete("/{subject}", dependencies=[WRITERS_ONLY])
async def delete_subject(subject: Subject, core: Cored, *, permanent: bool = False) -> list[int]:
    """Delete all versions: first out of sight, then, asked once more with `permanent`, for good."""
    async with writing(core) as connection:
        found = await known(connection, subject, deleted=True)
        living = [one.version for one in found if not one.deleted]
        if permanent and living:
            message = f"Subject '{subject}' was not deleted first before being permanently deleted"
            raise RegistryError(SUBJECT_NOT_SOFT_DELETED, message)
        if not permanent and not living:
            message = f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
            raise RegistryError(SUBJECT_SOFT_DELETED, message)
        numbers = [one.version for one in found] if permanent else living
        await (registry.forget if permanent else registry.hide)(connection, subject, numbers)
        return numbers


@router.delete("/{subject}/versions/{version}", dependencies=[WRITERS_ONLY])
async def delete_version(subject: Subject, version: str, core: Cored, *, permanent: bool = False) -> int:
    """Delete one version: first out of sight, then, asked once more with `permanent`, for good."""
    async with writing(core) as connection:
        # `latest` is among those in sight; a number may name one that is out of it.
        one = await chosen(connection, subject, version, deleted=version.isdigit())
        if permanent and not one.deleted:
            message = f"Version {one.version} was not deleted first before being permanently deleted"
            raise RegistryError(VERSION_NOT_SOFT_DELETED, message)
        if not permanent and one.deleted:
            message = f"Version {one.version} was soft deleted. Set permanent=true to delete permanently"
            raise RegistryError(VERSION_SOFT_DELETED, message)
        await (registry.forget if permanent else registry.hide)(connection, subject, [one.version])
        return one.version


async def _registered(connection: Connection, subject: str, text: str, digest: bytes) -> int:
    """Under the lock: judged against what stands there now, and added."""
    found = await registry.find(connection, subject, digest)
    if found is not None:
        return found.schema_id
    if await mode_of(connection, subject) is not Mode.READWRITE:
        raise RegistryError(NOT_PERMITTED, f"Subject '{subject}' is in read-only mode")
    level = await level_of(connection, subject)
    earlier = [one.body for one in await registry.versions(connection, subject)]
    if flaws := await judged(level, text, earlier):
        told = "; ".join(flaws[:MOST_TOLD])
        message = f"Schema being registered is incompatible with an earlier schema for subject '{subject}' ({level})"
        raise RegistryError(INCOMPATIBLE, f"{message}: {told}")
    return await registry.add(connection, subject, text, digest)
