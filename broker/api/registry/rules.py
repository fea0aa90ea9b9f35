"""What registering asks for: the level of compatibility and the mode, for all and per subject; and trying it out."""

from enum import StrEnum
from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel

from broker.api.core import Connection
from broker.api.registry.form import (
    INVALID_LEVEL,
    INVALID_MODE,
    INVALID_SCHEMA,
    NO_LEVEL_OF_ITS_OWN,
    NO_MODE_OF_ITS_OWN,
    SUBJECT_NOT_FOUND,
    WRITERS_ONLY,
    Cored,
    Offered,
    RegistryError,
    RegistryRoute,
    Subject,
    in_turn,
    writing,
)
from broker.api.registry.versions import chosen
from broker.store import registry
from broker.store.registry import EVERY, Rule
from broker.stream.compatibility import InvalidSchemaError, Level, disagreements

router = APIRouter(route_class=RegistryRoute)

DEFAULT_LEVEL: Final = Level.FULL_TRANSITIVE


class Mode(StrEnum):
    """Whether anything may be registered."""

    READWRITE = "READWRITE"
    READONLY = "READONLY"


class LevelSaid(BaseModel):
    """What clients put."""

    compatibility: str | None = None


class ModeSaid(BaseModel):
    """What clients put."""

    mode: str | None = None


async def level_of(connection: Connection, subject: str) -> Level:
    """The level that holds for a subject."""
    own, every = await registry.rules(connection, subject)
    return own.level or every.level or DEFAULT_LEVEL


async def mode_of(connection: Connection, subject: str) -> Mode:
    """The mode that holds for a subject."""
    own, every = await registry.rules(connection, subject)
    return Mode(own.mode or every.mode or Mode.READWRITE)


async def judged(level: Level, text: str, earlier: list[str]) -> list[str]:
    """What stands between a schema and the earlier ones. Raises RegistryError."""
    try:
        return await in_turn(disagreements, level, text, earlier)
    except InvalidSchemaError:
        raise RegistryError(INVALID_SCHEMA, "Invalid Avro schema") from None


@router.get("/config")
async def level_of_all(core: Cored) -> dict[str, str]:
    """What holds for subjects without a level of their own."""
    async with core.pool.connection() as connection:
        return {"compatibilityLevel": await level_of(connection, EVERY)}


@router.get("/config/{subject}")
async def own_level(subject: Subject, core: Cored, defaultToGlobal: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002, N803
    """The subject's own level, or with `defaultToGlobal` the one that holds for it."""
    async with core.pool.connection() as connection:
        own, _ = await registry.rules(connection, subject)
        if own.level is None and not defaultToGlobal:
            message = f"Subject '{subject}' does not have subject-level compatibility configured"
            raise RegistryError(NO_LEVEL_OF_ITS_OWN, message)
        return {"compatibilityLevel": await level_of(connection, subject)}


@router.put("/config", dependencies=[WRITERS_ONLY])
async def put_level_of_all(said: LevelSaid, core: Cored) -> dict[str, str]:
    """For subjects without a level of their own."""
    return await _put_level(core, EVERY, said)


@router.put("/config/{subject}", dependencies=[WRITERS_ONLY])
async def put_own_level(subject: Subject, said: LevelSaid, core: Cored) -> dict[str, str]:
    """For this subject."""
    return await _put_level(core, subject, said)


@router.delete("/config", dependencies=[WRITERS_ONLY])
async def delete_level_of_all(core: Cored) -> dict[str, str]:
    """Back to the default; answers what held."""
    async with writing(core) as connection:
        own, _ = await registry.rules(connection)
        await registry.put_rule(connection, EVERY, own._replace(level=None))
        return {"compatibilityLevel": own.level or DEFAULT_LEVEL}


@router.delete("/config/{subject}", dependencies=[WRITERS_ONLY])
async def delete_own_level(subject: Subject, core: Cored) -> dict[str, str]:
    """Back to what holds for all; answers what held."""
    async with writing(core) as connection:
        own, _ = await registry.rules(connection, subject)
        if own.level is None:
            raise RegistryError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found")
        await registry.put_rule(connection, subject, own._replace(level=None))
        return {"compatibilityLevel": own.level}


@router.get("/mode")
async def mode_of_all(core: Cored) -> dict[str, str]:
    """What holds for subjects without a mode of their own."""
    async with core.pool.connection() as connection:
        return {"mode": await mode_of(connection, EVERY)}


@router.get("/mode/{subject}")
async def own_mode(subject: Subject, core: Cored, defaultToGlobal: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002, N803
    """The subject's own mode, or with `defaultToGlobal` the one that holds for it."""
    async with core.pool.connection() as connection:
        own, _ = await registry.rules(connection, subject)
        if own.mode is None and not defaultToGlobal:
            raise RegistryError(NO_MODE_OF_ITS_OWN, f"Subject '{subject}' does not have subject-level mode configured")
        return {"mode": await mode_of(connection, subject)}


@router.put("/mode", dependencies=[WRITERS_ONLY])
async def put_mode_of_all(said: ModeSaid, core: Cored) -> dict[str, str]:
    """For subjects without a mode of their own."""
    return await _put_mode(core, EVERY, said)


@router.put("/mode/{subject}", dependencies=[WRITERS_ONLY])
async def put_own_mode(subject: Subject, said: ModeSaid, core: Cored) -> dict[str, str]:
    """For this subject."""
    return await _put_mode(core, subject, said)


@router.delete("/mode/{subject}", dependencies=[WRITERS_ONLY])
async def delete_own_mode(subject: Subject, core: Cored) -> dict[str, str]:
    """Back to what holds for all; answers what held."""
    async with writing(core) as connection:
        own, _ = await registry.rules(connection, subject)
        if own.mode is None:
            raise RegistryError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found")
        await registry.put_rule(connection, subject, own._replace(mode=None))
        return {"mode": own.mode}


@router.post("/compatibility/subjects/{subject}/versions")
async def compatible_with_all(subject: Subject, offered: Offered, core: Cored, *, verbose: bool = False) -> Any:
    """Whether it could be registered, as the subject's level asks."""
    await offered.digest()
    async with core.pool.connection() as connection:
        level = await level_of(connection, subject)
        earlier = [one.body for one in await registry.versions(connection, subject)]
    return _verdict(await judged(level, offered.text, earlier), verbose=verbose)


@router.post("/compatibility/subjects/{subject}/versions/{version}")
async def compatible_with_one(
    subject: Subject, version: str, offered: Offered, core: Cored, *, verbose: bool = False
) -> Any:
    """Whether it agrees with one version, as the subject's level asks."""
    await offered.digest()
    async with core.pool.connection() as connection:
        level = await level_of(connection, subject)
        one = await chosen(connection, subject, version)
    return _verdict(await judged(level, offered.text, [one.body]), verbose=verbose)


def _verdict(flaws: list[str], *, verbose: bool) -> dict[str, Any]:
    return {"is_compatible": not flaws} | ({"messages": flaws} if verbose else {})


async def _put_level(core: Cored, subject: str, said: LevelSaid) -> dict[str, str]:
    try:
        level = Level((said.compatibility or "").upper())
    except ValueError:
        names = ", ".join(Level)
        raise RegistryError(INVALID_LEVEL, f"Invalid compatibility level. Valid values are {names}") from None
    async with writing(core) as connection:
        own, _ = await registry.rules(connection, subject)
        await registry.put_rule(connection, subject, Rule(level, own.mode))
    return {"compatibility": level}


async def _put_mode(core: Cored, subject: str, said: ModeSaid) -> dict[str, str]:
    try:
        mode = Mode((said.mode or "").upper())
    except ValueError:
        raise RegistryError(INVALID_MODE, f"Invalid mode. Valid values are {', '.join(Mode)}") from None
    async with writing(core) as connection:
        own, _ = await registry.rules(connection, subject)
        await registry.put_rule(connection, subject, Rule(own.level, mode))
    return {"mode": mode}
