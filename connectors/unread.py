"""A case that its source will not show: told of as a payload that is refused, so that it holds up no other.

A source that is away ends the round for all. One case that fails round after round, while others are answered, is
passed over in the end; the rejection says so, and the case comes again when it next changes.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from broker.domain.document import Event
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.retry import Away, Unanswered

_log = logging.getLogger(__name__)
_UNREAD: Final = "unread"
_ROUNDS: Final = 3
_STATUSES: Final = range(100, 600)

Shown = TypeVar("Shown")
Other = TypeVar("Other")
Translate = Callable[[object, Source], Sequence[Event] | Rejected]


def unread(case: str, status: int | None = None) -> Mapping[str, Any]:
    """Return the payload in the place of a case. status: the answer's, where there was one."""
    return {_UNREAD: {"case": case, "status": status}}


def refusing(translate: Translate) -> Translate:
    """Make the vendor's `translate` refuse such payloads as well."""

    def translated(payload: object, source: Source) -> Sequence[Event] | Rejected:
        if not isinstance(payload, dict) or payload.keys() != {_UNREAD}:
            return translate(payload, source)
        said = payload[_UNREAD]
        status = said.get("status") if isinstance(said, dict) else None
        answer = f"its answer was status {status}" if status in _STATUSES else "it gave no usable answer"
        return Rejected(Code.MALFORMED_PAYLOAD, f"/{_UNREAD}", f"the source would not show the case: {answer}")

    return translated


class Readings:
    """Counts the rounds in which each case could not be read; for the life of a poller."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._passed: dict[str, object] = {}
        self._late: set[str] = set()

    def is_late(self, case: str) -> bool:
        """Whether its last reading failed: where others are read first, these tell whether the source is there."""
        return case in self._late

    async def of(
        self, case: str, read: Callable[[], Awaitable[Shown]], version: object = None
    ) -> Shown | Mapping[str, Any]:
        """What `read` gives, or `unread` when it has failed often enough. Raises Unanswered before that.

        version: of the case as it is now. One that was passed over is not asked for again: where a page has several,
            each would begin anew while the next is tried.
        """
        return await self.or_else(unread(case), case, read, version)

    async def or_else(
        self, instead: Other, what: str, read: Callable[[], Awaitable[Shown]], version: object = None
    ) -> Shown | Other:
        """The same of what a case can be without."""
        if version is not None and self._passed.get(what) == version:
            return instead
        try:
            shown: Shown | Other = await read()
        except Unanswered as failure:
            self._late.add(what)
            if isinstance(failure, Away):
                raise
            self._failed[what] += 1
            if self._failed[what] < _ROUNDS:
                raise
            _log.warning("passed over %s rounds=%d: %s", what, _ROUNDS, failure)
            self._passed[what] = version
            shown = instead
        self._late.discard(what)
        del self._failed[what]  # a Counter lets what it does not count be deleted
        return shown
