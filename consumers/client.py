"""Reading overviews from an app: one small client for them all. Citizens' numbers travel in bodies, never in a URL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from consumers.changes import Change, changes
from consumers.refusal import RefusedError, code_of

__all__ = ["Change", "Overviews", "Page", "RefusedError", "changes"]


@dataclass(frozen=True, slots=True)
class Page:
    """Entries as in the contract, and how fresh each source in the reader's scope is; None: nothing ever came."""

    entries: list[dict[str, Any]]
    next_cursor: str | None
    freshness: list[dict[str, Any]]
    notice: str | None


class Overviews:
    """A connection to the broker with one reader's token; use it as a context manager."""

    def __init__(self, base_url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """Nothing is sent yet."""
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=10, transport=transport)

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the connections."""
        self._http.close()

    def search(self, overview: str, asked: Mapping[str, Any]) -> Page:
        """One page. `asked` is the body of the contract, such as {"citizen": …, "purpose": …}. Raises RefusedError."""
        answer = self._http.post(f"/v1/overviews/{overview}/search", json=dict(asked))
        if answer.is_error:
            raise RefusedError(answer.status_code, code_of(answer))
        return Page(**answer.json())

    def follow(self, overview: str, citizens: Sequence[str], purpose: str, until: datetime) -> dict[str, Any]:
        """Follow these citizens and no others in the overview; `changes` tells. Raises RefusedError."""
        body = {"overview": overview, "citizens": list(citizens), "purpose": purpose, "until": until.isoformat()}
        answer = self._http.put("/v1/subscriptions", json=body)
        if answer.is_error:
            raise RefusedError(answer.status_code, code_of(answer))
        kept: dict[str, Any] = answer.json()
        return kept

    def pages(self, overview: str, asked: Mapping[str, Any]) -> Iterator[Page]:
        """Every page of one search; each is a read of its own in the access log."""
        page = self.search(overview, asked)
        yield page
        while page.next_cursor is not None:
            page = self.search(overview, {**asked, "cursor": page.next_cursor})
            yield page
