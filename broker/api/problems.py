"""Every error of the API as RFC 9457 problem details. Nothing of the request ever comes back in one, nor into a log."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import psycopg
import psycopg_pool
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from broker.intake.budget import Exhausted
from broker.intake.pointers import flaw_of
from broker.intake.producer import KafkaUnavailable
from broker.logs import tell
from broker.security import KeysUnavailable

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = "5"
CODES: Final[Mapping[int, str]] = {
    400: "malformed_payload",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    500: "internal_error",
    503: "unavailable",
}
DATABASE_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.UndefinedTable,  # not migrated yet
    psycopg_pool.PoolTimeout,
    psycopg_pool.PoolClosed,
)


class Problem(HTTPException):
    """Ends a request with this answer. `detail` never carries anything that was sent."""

    def __init__(
        self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, *, pointer: str = ""
    ) -> None:
        """The title is the status's phrase. `pointer`: the field that is wrong, where it is one."""
        super().__init__(status, detail, headers)
        self.code, self.pointer = code, pointer


def unavailable(code: str, detail: str) -> Problem:
    """503, and when to come again."""
    return Problem(503, code, detail, {"Retry-After": RETRY_AFTER})


def response(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """One problem, as it goes out."""
    body = {
        "type": f"urn:sagsbro:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **more,
    }
    return JSONResponse(body, status, dict(headers or {}), MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Give the app our answers for everything that can go wrong."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(KafkaUnavailable, _kafka_away)
    app.add_exception_handler(Exhausted, _busy)
    app.add_exception_handler(KeysUnavailable, _keys_away)
    for error in DATABASE_AWAY:
        app.add_exception_handler(error, _database_away)


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    status = error.status_code
    code = error.code if isinstance(error, Problem) else CODES.get(status, "error")
    detail = error.detail if isinstance(error, Problem) else HTTPStatus(status).description
    pointed = isinstance(error, Problem) and error.pointer
    more = {"errors": [{"pointer": pointed, "detail": detail}]} if pointed else {}
    return response(status, code, detail, error.headers, **more)


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    flaws = [_flaw(flaw, error.body) for flaw in error.errors()]
    malformed = any(flaw["type"] == "json_invalid" for flaw in error.errors())
    code = "malformed_payload" if malformed else "invalid_request"
    return response(422, code, "the request does not have the form that is documented", errors=flaws[:20])


def _flaw(flaw: Mapping[str, Any], body: object) -> dict[str, str]:
    """A pointer into the body; what is wrong outside it begins with where that is, as in `/query/limit`."""
    where, *location = flaw["loc"]
    if where == "body":
        pointer, detail = flaw_of({**flaw, "loc": location}, body)
    else:
        pointer, detail = flaw_of(flaw, {}, flaw["loc"])
    return {"pointer": pointer, "detail": detail}


async def _kafka_away(_request: Request, _error: Exception) -> Response:
    return _again("kafka_unavailable", "the log does not acknowledge just now; send the same again")


async def _busy(_request: Request, _error: Exception) -> Response:
    return _again("busy", "too much is under way just now; send the same again")


async def _keys_away(_request: Request, _error: Exception) -> Response:
    return _again("keys_unavailable", "the token's keys cannot be fetched just now")


async def _database_away(_request: Request, error: Exception) -> Response:
    tell("database_unreachable", error=type(error).__name__)
    return _again("database_unavailable", "the database does not answer just now; send the same again")


def _again(code: str, detail: str) -> Response:
    return response(503, code, detail, {"Retry-After": RETRY_AFTER})
