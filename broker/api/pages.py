"""The pages for people, `/ops` and `/coverage`, with their scripts and their style: shells without any data.

A page asks for data with the token that is typed into it, which stands in no address and only in the browser's session.
"""

from importlib.resources import files
from typing import Final, Literal

from fastapi import APIRouter
from fastapi.responses import Response

router = APIRouter(include_in_schema=False)

Name = Literal["page.css", "page.js", "charts.js", "coverage.js", "operations.js"]
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
HEADERS: Final = {
    # Nothing inline, nothing from elsewhere, no text that becomes markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@router.get("/ops")
async def get_operations() -> Response:
    """For operators."""
    return _file("operations.html")


@router.get("/coverage")
async def get_coverage() -> Response:
    """For operators and onboarding."""
    return _file("coverage.html")


@router.get("/pages/{name}")
async def get_part(name: Name) -> Response:
    """What a page is made of."""
    return _file(name)


def _file(name: str) -> Response:
    text = files("broker.api").joinpath("page_files", name).read_bytes()
    return Response(text, media_type=_TYPES[name.rpartition(".")[2]], headers=HEADERS)
