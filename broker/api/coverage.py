"""Coverage over HTTP; the page for people is in `broker.api.pages`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from broker.api.auth import require
from broker.api.core import Core, core_of
from broker.domain.policy import Role
from broker.security import Token
from broker.store import coverage

router = APIRouter(tags=["coverage"])


@router.get("/v1/coverage")
async def get_coverage(
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.ONBOARDING, Role.OPERATOR))],
) -> list[dict[str, Any]]:
    """Of the token's authorities: each system and KLE area, with its state, entries, rejections, completeness."""
    async with core.pool.connection() as connection:
        return await coverage.rows(connection, token.authorities, datetime.now(UTC).date())
