"""A source compares its own list of cases with what is here: `POST /v1/reconcile`, and its differences in pages."""

import time
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request

from broker.api import bodies
from broker.api.auth import require
from broker.api.core import Connection, Core, core_of
from broker.api.events import accepted, authority_of, sender_of
from broker.api.problems import Problem
from broker.domain.identity import is_uuid
from broker.domain.policy import Role
from broker.intake.canonical import micros
from broker.intake.forms import LINES
from broker.intake.manifest import CSV, FlawedManifest, Manifest
from broker.intake.reconciling import Claim, Miscounted, NotOpen, answer, difference, reconcile
from broker.security import Token
from broker.store import reconciliation as store
from broker.store.reconciliation import FIRST, Overtaken

router = APIRouter(prefix="/v1/reconcile", tags=["intake"])

MOST: Final = 10_000
Cored = Annotated[Core, Depends(core_of)]
Vendor = Annotated[Token, Depends(require(Role.VENDOR))]
Shown = Literal["missing", "superfluous", "older", "newer"]


@router.post("", openapi_extra={"requestBody": {"required": True, "content": {name: {} for name in (*LINES, CSV)}}})
async def compare(
    request: Request,
    core: Cored,
    token: Vendor,
    as_of: Annotated[str, Query(description="when the source began to read its list, by its own clock")],
    authority: str | None = None,
    area: Annotated[
        list[str] | None, Query(description="its own KLE numbers the list is whole for, as patterns")
    ] = None,
    count: Annotated[int | None, Query(description="lines of the list: a torn one is refused")] = None,
) -> dict[str, Any]:
    """Every case the source has, one a line: JSON, or CSV with a header. What differs is counted, the first named.

    `case_id`, `registered_at`, `kle`; `created_at` and `state` tell a delimited case from a missing one.
    The body may be gzip.
    """
    sender = sender_of(token)
    as_csv = accepted(request, (*LINES, CSV)) == CSV
    try:
        # Ahead of our clock it would make what has just come look vanished.
        moment = max(0, min(micros(as_of), time.time_ns() // 1000))
        claim = Claim(authority_of(sender, authority), sender.system, moment, tuple(area or ()), count)
    except ValueError:
        raise Problem(422, "schema_violation", "as_of is a time with a zone") from None

    def connect() -> AbstractAsyncContextManager[Connection]:
        return core.pool.connection()

    try:
        pieces = bodies.pieces_of(request)
        found = await reconcile(connect, core.facts.current, claim, Manifest(as_csv=as_csv), pieces)
    except (FlawedManifest, Miscounted) as flaw:
        raise Problem(422, "schema_violation", str(flaw)) from None
    except NotOpen as why:
        raise Problem(403, "no_agreement", str(why)) from None
    except Overtaken:
        raise Problem(409, "overtaken", "another list of the same sender was begun meanwhile") from None
    except ValueError:
        raise Problem(422, "schema_violation", "area is a KLE pattern, such as 27.*") from None
    async with core.pool.connection() as connection:
        return await answer(connection, found)


@router.get("/{reconciliation_id}/{kind}")
async def differences(
    reconciliation_id: Annotated[int, Path(ge=1, lt=1 << 63)],
    kind: Shown,
    core: Cored,
    token: Vendor,
    after: str = FIRST,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 1000,
) -> dict[str, Any]:
    """A page of one kind; `after` is the `next` of the page before. Kept until the next comparison of the sender."""
    sender, wanted = sender_of(token), _uuid(after)
    async with core.pool.connection() as connection:
        found = await store.compared(connection, reconciliation_id)
        if found is None or found.system != sender.system or found.authority not in sender.authorities:
            raise Problem(404, "not_found", "there is no such comparison")
        listed = await store.differences(connection, reconciliation_id, kind, wanted, limit)
    following = listed[-1].case_id if len(listed) == limit else None
    return {"cases": [difference(one) for one in listed], "next": following}


def _uuid(said: str) -> str:
    if not is_uuid(said):
        raise Problem(422, "schema_violation", "after is the id of a case")
    return said
