"""RFC 6901 pointers into what was sent, made so that they say where and never what. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

# Names as models have them. Anything else is a name that the sender made up, and may itself be personal data.
_NAME: Final = re.compile(r"[A-Za-z_]{1,40}[0-9]{0,3}")


def pointer_of(location: Sequence[int | str]) -> str:
    """The pointer of a place; it ends before a name that cannot be a field's."""
    return "".join(f"/{part}" for part in _known(location))


def _known(location: Sequence[int | str]) -> Iterator[int | str]:
    for part in location:
        if isinstance(part, str) and _NAME.fullmatch(part) is None:
            return
        yield part
