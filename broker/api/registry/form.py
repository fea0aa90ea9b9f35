"""What all of the registry's routes share: the form of answers and errors, who may write, how subjects are named."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from broker.api.auth import Caller, TokenFirst
from broker.api.core import Connection, Core, core_of
from broker.api.problems import DATABASE_AWAY
from broker.domain.policy import Role
from broker.logs import tell
from broker.security import KeysUnavailable
from broker.store import registry
from broker.store.text import storable
from broker.stream import compatibility
from broker.stream.compatibility import InvalidSchemaError

Result = TypeVar("Result")
MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
SUBJECT_NOT_FOUND: Final = 40401
VERSION_NOT_FOUND: Final = 40402
SCHEMA_NOT_FOUND: Final = 40403
SUBJECT_SOFT_DELETED: Final = 40404
SUBJECT_NOT_SOFT_DELETED: Final = 40405
VERSION_SOFT_DELETED: Final = 40406
VERSION_NOT_SOFT_DELETED: Final = 40407
NO_LEVEL_OF_ITS_OWN: Final = 40408
NO_MODE_OF_ITS_OWN: Final = 40409
INCOMPATIBLE: Final = 409
INVALID_SCHEMA: Final = 42201
INVALID_VERSION: Final = 42202
INVALID_LEVEL: Final = 42203
INVALID_MODE: Final = 42204
NOT_PERMITTED: Final = 42205
STORE_FAILED: Final = 50001
_LONGEST_SUBJECT: Final = 255
_LONG_CODE: Final = 1000  # longer codes begin with their status

Cored = Annotated[Core, Depends(core_of)]


class RegistryError(Exception):
    """Ends a request with one of the registry's own error bodies."""

    def __init__(self, code: int, message: str) -> None:
        """`message` quotes nothing but subjects, numbers, and names of types and fields."""
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def status(self) -> int:
        """The HTTP status that the code stands for."""
        return self.code if self.code < _LONG_CODE else self.code // 100


Prefix = Annotated[str, AfterValidator(storable)]
_PARSER: Final = ThreadPoolExecutor(1, "registry")


async def in_turn(work: Callable[..., Result], *arguments: object) -> Result:
    """One at a time: anybody may have a schema looked up, and however many do, they wait for each other alone."""
    return await asyncio.get_running_loop().run_in_executor(_PARSER, work, *arguments)


class Answer(JSONResponse):
    """JSON under the registry's media type."""

    media_type = MEDIA_TYPE


class Offered(BaseModel):
    """A schema as clients offer it."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    text: str = Field(alias="schema", max_length=compatibility.LARGEST_SCHEMA)
    kind: str | None = Field(None, alias="schemaType")
    references: list[Any] | None = None
    rules: Any = Field(None, alias="ruleSet")
    metadata: Any = None
    id: int | None = None
    version: int | None = None

    async def digest(self) -> bytes:
        """Its digest, when it is a schema that is taken here. Raises RegistryError."""
        if self.kind not in (None, "AVRO"):
            raise RegistryError(INVALID_SCHEMA, "Only Avro schemas are taken")
        if self.references:
            raise RegistryError(INVALID_SCHEMA, "References are not supported: put the named types into the schema")
        if self.rules or self.metadata:
            # Left out without a word they would seem to work, encryption rules too.
            raise RegistryError(INVALID_SCHEMA, "Rule sets and metadata are not supported")
        try:
            return await in_turn(compatibility.digest_of, self.text)
        except InvalidSchemaError:
            raise RegistryError(INVALID_SCHEMA, "Invalid Avro schema") from None


class RegistryRoute(TokenFirst):
    """A route whose errors have the registry's form, so that stock clients can read them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, with its errors translated."""
        handle = super().get_route_handler()

        async def handling(request: Request) -> Response:
            return await _translated(handle, request)

        return handling


@asynccontextmanager
async def writing(core: Core) -> AsyncIterator[Connection]:
    """A transaction under the registry's lock, in which what was read still holds when it is written."""
    async with core.pool.connection() as connection, connection.transaction():
        await registry.lock(connection)
        yield connection


def subject_name(subject: str) -> str:
    """A usable subject. Raises RegistryError."""
    if not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise RegistryError(SUBJECT_NOT_FOUND, "The subject has no usable name")
    return subject


Subject = Annotated[str, Depends(subject_name)]


async def _translated(handle: Callable[[Request], Awaitable[Response]], request: Request) -> Response:
    try:
        return await handle(request)
    except RegistryError as error:
        return _error(error.status, error.code, error.message)
    except HTTPException as error:
        return _error(error.status_code, error.status_code * 100 + 1, str(error.detail), error.headers)
    except RequestValidationError:
        return _error(422, 422, "The request does not have the documented form")
    except (*DATABASE_AWAY, KeysUnavailable) as error:
        tell("database_unreachable", error=type(error).__name__)
        return _error(500, STORE_FAILED, "Error in the backend data store: try again")


def _error(status: int, code: int, message: str, headers: Any = None) -> Answer:
    return Answer({"error_code": code, "message": message}, status, headers)


async def _token(request: Request) -> str | None:
    """A bearer token, or one that stands as the password of a client that knows basic authentication alone."""
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return said.strip() if scheme.lower() == "bearer" else None
    try:
        return base64.b64decode(said, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None


writer: Final = Caller((Role.OPERATOR,), _token)
"""Lets those pass who may register, delete and set rules: schemas are every sender's and every reader's."""
WRITERS_ONLY: Final = Depends(writer)
