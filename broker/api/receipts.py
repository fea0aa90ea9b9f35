"""What has become of the events of one request."""

import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from broker.api.auth import require
from broker.api.core import Core, core_of
from broker.api.problems import Problem
from broker.domain.policy import Role
from broker.security import Token
from broker.store import receipts
from broker.stream.topics import CASE_EVENTS

router = APIRouter(prefix="/v1", tags=["intake"])


@router.get("/receipts/{receipt_id}")
async def get_receipt(
    receipt_id: uuid.UUID,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.VENDOR))],
) -> dict[str, Any]:
    """The status of each event; only for the subject and system that sent them, and for their authorities."""
    owner = (token.system or "", token.subject)
    async with core.pool.connection() as connection:
        events = await receipts.read(connection, receipt_id, owner, token.authorities, CASE_EVENTS.name)
    if events is None:
        raise Problem(404, "not_found", "there is no such receipt")
    return {"receipt_id": str(receipt_id), "events": events}
