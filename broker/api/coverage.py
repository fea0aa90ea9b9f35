"""Coverage over HTTP: rows for programs, and a page for people that asks for them with its reader's token."""

import base64
import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

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


@router.get("/coverage", response_class=HTMLResponse, include_in_schema=False)
async def page() -> HTMLResponse:
    """A page without data of its own; the token that is typed into it never stands in an address."""
    text, policy = _page()
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, headers=headers)


@cache
def _page() -> tuple[str, str]:
    """The page, and what a browser may do on it: run its own script, use its own style, ask where it came from."""
    text = files("broker.api").joinpath("coverage.html").read_text("utf-8")
    own = {
        kind: base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for kind in ("script", "style")
        for found in re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
    }
    sources = "; ".join(f"{kind}-src 'sha256-{digest}'" for kind, digest in own.items())
    nowhere = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return text, f"default-src 'none'; {sources}; connect-src 'self'; {nowhere}"
