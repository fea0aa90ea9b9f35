"""Which migrations are to be done when, and whether a release fits a database. Pure.

A migration named `*.post.sql` contracts: it takes away what the release before still uses, so it is done when that
release runs no more. Every other one expands: releases that do not know it work on as before.
"""

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Final

CONTRACTS: Final = ".post.sql"


class Phase(StrEnum):
    """Of an upgrade: before the new release runs, after the old one has ended, or all at once while nothing runs."""

    PRE = "pre"
    POST = "post"
    ALL = "all"


class SchemaRefused(Exception):  # noqa: N818 - a decision for an operator, not a fault
    """A step of an upgrade out of its order; the text says which comes first."""


def pending(known: Sequence[str], done: Collection[str], phase: Phase) -> list[str]:
    """What is to be done of the known migrations, in order. Raises SchemaRefused."""
    left = [name for name in known if name not in done]
    expanding = [name for name in left if not name.endswith(CONTRACTS)]
    if phase is Phase.ALL or not done:  # nobody runs on an empty database
        return left
    if phase is Phase.POST:
        if expanding:
            raise SchemaRefused(f"the phase `pre` comes first: {', '.join(expanding)}")
        return left
    if expanding and expanding != left[: len(expanding)]:
        first = next(name for name in left if name.endswith(CONTRACTS))
        raise SchemaRefused(f"the upgrade before this one was not ended: do its phase `post` first ({first})")
    return expanding


def misfit(known: Sequence[str], done: Collection[str]) -> str | None:
    """Why a release that knows these migrations must not run where those have been done; None: it may."""
    missing = [name for name in known if name not in done and not name.endswith(CONTRACTS)]
    if missing:
        return f"the schema is older than this release, which needs {', '.join(missing)}: run `sagsbro setup --pre`"
    beyond = sorted(name for name in done if name.endswith(CONTRACTS) and name not in known)
    if beyond:
        return f"the schema is newer than this release, which cannot do without what {', '.join(beyond)} took away"
    return None
