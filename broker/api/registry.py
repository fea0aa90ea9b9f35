"""The schema registry's API, as Confluent's clients speak it: their paths, their bodies, their error codes."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from broker.api.auth import require
from broker.api.core import Core, core_of
from broker.domain.policy import Role
from broker.store import registry
from broker.store.registry import InvalidSchemaError, Version

MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
SUBJECT_NOT_FOUND: Final = 40401
VERSION_NOT_FOUND: Final = 40402
SCHEMA_NOT_FOUND: Final = 40403
INVALID_SCHEMA: Final = 42201
INVALID_VERSION: Final = 42202
_LARGEST_ID: Final = 2**31 - 1
_LATEST: Final = ("latest", "-1")
_VERSION: Final = re.compile(r"[0-9]{1,9}")
_HTTP: Final = 100  # the first three digits of a code are the status


class RegistryError(Exception):
    """Ends a request with one of the registry's own error bodies."""

    def __init__(self, code: int, message: str) -> None:
        """`message` quotes nothing but names of subjects and numbers."""
        super().__init__(message)
        self.code, self.message = code, message


class Answer(JSONResponse):
    """JSON under the registry's media type."""

    media_type = MEDIA_TYPE


class Offered(BaseModel):
    """A schema as clients offer it; what they say beyond this is not ours to judge yet."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    text: str = Field(alias="schema")
    kind: str = Field("AVRO", alias="schemaType")
    references: list[Any] = []


router = APIRouter(prefix="/registry", tags=["registry"], default_response_class=Answer)
Cored = Annotated[Core, Depends(core_of)]


def install(app: FastAPI) -> None:
    """Add the routes, and the registry's own form of errors."""
    app.include_router(router)
    app.add_exception_handler(RegistryError, _failed)


@router.get("/schemas/types")
async def types() -> list[str]:
    """The kinds of schema that are taken."""
    return ["AVRO"]


@router.get("/schemas/ids/{schema_id}")
async def schema_by_id(schema_id: int, core: Cored) -> dict[str, str]:
    """The schema that framed values name by its id."""
    async with core.pool.connection() as connection:
        body = await registry.schema_of(connection, schema_id) if 0 < schema_id <= _LARGEST_ID else None
    if body is None:
        raise RegistryError(SCHEMA_NOT_FOUND, "Schema not found")
    return {"schema": body}


@router.get("/subjects")
async def list_subjects(core: Cored) -> list[str]:
    """Every subject."""
    async with core.pool.connection() as connection:
        return await registry.subjects(connection)


@router.get("/subjects/{subject}/versions")
async def list_versions(subject: str, core: Cored) -> list[int]:
    """The versions of a subject."""
    return [version.version for version in await _versions(core, subject)]


@router.get("/subjects/{subject}/versions/{version}")
async def one_version(subject: str, version: str, core: Cored) -> dict[str, Any]:
    """One version, by number or `latest`."""
    if version not in _LATEST and _VERSION.fullmatch(version) is None:
        raise RegistryError(INVALID_VERSION, "The specified version is not a valid version id")
    known = await _versions(core, subject)
    if version in _LATEST:
        return _shown(known[-1])
    for one in known:
        if one.version == int(version):
            return _shown(one)
    raise RegistryError(VERSION_NOT_FOUND, "Version not found")


@router.post("/subjects/{subject}")
async def look_up(subject: str, offered: Offered, core: Cored) -> dict[str, Any]:
    """Which version of the subject this schema is."""
    digest = _digest(offered)
    for one in await _versions(core, subject):
        if registry.digest_of(one.body) == digest:
            return _shown(one)
    raise RegistryError(SCHEMA_NOT_FOUND, "Schema not found")


@router.post("/subjects/{subject}/versions", dependencies=[Depends(require(Role.OPERATOR, Role.ONBOARDING))])
async def register(subject: str, offered: Offered, core: Cored) -> dict[str, int]:
    """Make this schema the subject's next version; one that it has already keeps its id."""
    _digest(offered)
    if not registry.is_subject(subject):
        raise RegistryError(INVALID_SCHEMA, "The subject has no usable name")
    async with core.pool.connection() as connection:
        return {"id": await registry.register(connection, subject, offered.text)}


@router.get("/config")
async def config() -> dict[str, str]:
    """The compatibility that registering asks for: none is judged yet."""
    return {"compatibilityLevel": "NONE"}


async def _failed(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RegistryError):
        raise error
    return Answer({"error_code": error.code, "message": error.message}, error.code // _HTTP)


async def _versions(core: Core, subject: str) -> list[Version]:
    if registry.is_subject(subject):
        async with core.pool.connection() as connection:
            if known := await registry.versions(connection, subject):
                return known
    raise RegistryError(SUBJECT_NOT_FOUND, "Subject not found")


def _digest(offered: Offered) -> bytes:
    if offered.kind != "AVRO" or offered.references:
        raise RegistryError(INVALID_SCHEMA, "Only Avro schemas without references are taken")
    try:
        return registry.digest_of(offered.text)
    except InvalidSchemaError:
        raise RegistryError(INVALID_SCHEMA, "Invalid Avro schema") from None


def _shown(version: Version) -> dict[str, Any]:
    return {
        "subject": version.subject,
        "version": version.version,
        "id": version.schema_id,
        "schema": version.body,
    }
