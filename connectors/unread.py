"""A case that its source will not show: told of as a payload that is refused, so that it holds up no other.

A source that is away ends the round for all. One case that fails round after round is passed over in the end, later
where nothing else was shown meanwhile; the rejection says so, and the case comes again when it next changes.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeVar

from broker.domain.document import Event
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.retry import Away, TooLong, Unanswered

_log = logging.getLogger(__name__)
_UNREAD: Final = "unread"
_LONGEST_NAME: Final = 200
_ROUNDS: Final = 3
_ROUNDS_OF_SILENCE: Final = 10
"""Where nothing else was shown meanwhile either: it may be the source, and not the case."""
_STATUSES: Final = range(100, 600)
_MEBIBYTES: Final = range(1, 1000)

Shown = TypeVar("Shown")
Other = TypeVar("Other")
Translate = Callable[[object, Source], Sequence[Event] | Rejected]


def unread(case: str, status: int | None = None, larger_than: int = 0) -> Mapping[str, Any]:
    """Return the payload in the place of a case.

    status: the answer's, where there was one. larger_than: what the case has more than, in MiB, where that is why.
    """
    said = {"case": case[:_LONGEST_NAME], "status": status}
    return {_UNREAD: said | {"larger_than": larger_than} if larger_than else said}


def refusing(translate: Translate) -> Translate:
    """Make the vendor's `translate` refuse such payloads as well."""

    def translated(payload: object, source: Source) -> Sequence[Event] | Rejected:
        if not isinstance(payload, dict) or payload.keys() != {_UNREAD}:
            return translate(payload, source)
        said = payload[_UNREAD] if isinstance(payload[_UNREAD], dict) else {}
        return Rejected(Code.MALFORMED_PAYLOAD, f"/{_UNREAD}", _why(said))

    return translated


def _why(said: Mapping[str, Any]) -> str:
    """Nothing of what was sent but numbers that can be no citizen's."""
    status, larger_than = said.get("status"), _number(said.get("larger_than"))
    if larger_than in _MEBIBYTES:
        return (
            f"the source shows the case in more than {larger_than} MiB: have it show metadata without the contents of"
            " documents and notes; it is read again when it changes"
        )
    answer = f"its answer was status {status}" if status in _STATUSES else "it gave no usable answer"
    return f"the source would not show the case: {answer}"


def _number(said: object) -> int:
    """0 where it is none. XML has numbers as texts."""
    if isinstance(said, str) and len(said) <= len(str(_MEBIBYTES.stop)) and said.isascii() and said.isdecimal():
        return int(said)
    return said if isinstance(said, int) else 0


async def of_the_case(read: Callable[[], Awaitable[Shown]], *, there: bool) -> Shown:
    """What `read` gives; before the source has answered anything, its silence says nothing of the case: Away."""
    try:
        return await read()
    except Unanswered as failure:
        if there or not _is_silence(failure):
            raise
        raise Away(str(failure)) from None


def _is_silence(failure: Unanswered) -> bool:
    """An answer of another form is an answer: the source is there."""
    return type(failure) is Unanswered


class _PassedOver(NamedTuple):
    """What could not be read. version: as it was then; larger_than: as in `unread`."""

    version: object
    larger_than: int


class Readings:
    """Counts the rounds in which each case could not be read; for the life of a poller."""

    def __init__(self) -> None:
        self._failed: Counter[str] = Counter()
        self._shown = 0
        self._shown_before: dict[str, int] = {}
        self._passed: dict[str, _PassedOver] = {}
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
        found = await self._shown_or_passed_over(case, read, version)
        return unread(case, larger_than=found.larger_than) if isinstance(found, _PassedOver) else found

    async def or_else(
        self, instead: Other, what: str, read: Callable[[], Awaitable[Shown]], version: object = None
    ) -> Shown | Other:
        """The same of what a case can be without."""
        found = await self._shown_or_passed_over(what, read, version)
        return instead if isinstance(found, _PassedOver) else found

    async def _shown_or_passed_over(
        self, what: str, read: Callable[[], Awaitable[Shown]], version: object
    ) -> "Shown | _PassedOver":
        passed = self._passed.get(what)
        if version is not None and passed is not None and passed.version == version:
            return passed
        try:
            shown: Shown | _PassedOver = await read()
        except Unanswered as failure:
            self._late.add(what)
            if isinstance(failure, Away):
                raise
            self._failed[what] += 1
            if self._failed[what] < self._patience(what, failure):
                raise
            _log.warning("passed over %s rounds=%d: %s", what, self._failed[what], failure)
            larger_than = failure.more_than if isinstance(failure, TooLong) else 0
            shown = self._passed[what] = _PassedOver(version, larger_than)
        else:
            self._shown += 1
        self._late.discard(what)
        self._shown_before.pop(what, None)
        del self._failed[what]  # a Counter lets what it does not count be deleted
        return shown

    def _patience(self, what: str, failure: Unanswered) -> int:
        before = self._shown_before.setdefault(what, self._shown)
        return _ROUNDS_OF_SILENCE if _is_silence(failure) and self._shown == before else _ROUNDS
