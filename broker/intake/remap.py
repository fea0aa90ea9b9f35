"""What other mapping rules would change, before anything is done: read page by page, and nothing is written.

What is told here is what then happens: entries by the function that derives them anew, rejections by the one that
replays them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row

from broker.domain.agreement import Facts
from broker.domain.case import NEVER, State
from broker.domain.identity import EntryKey
from broker.domain.kle_rules import Rule
from broker.domain.outcome import Code
from broker.intake.replay import Kept, UnreadableError, accepted, judged_again, refused
from broker.intake.verdicts import Accepted, Judged
from broker.settings import Settings
from broker.store.anew import anew, read
from broker.store.database import query
from broker.store.document import load
from broker.store.kle_rules import Key, replaced
from broker.store.rederivation import NIL, Scope, page

Connection = psycopg.Connection[Any]
MENDED: Final = (Code.KLE_UNKNOWN, Code.KLE_RETIRED, Code.UNMAPPED_LOCAL_CODE, Code.FACET_UNKNOWN)
"""What a mapping may mend."""
ENTRIES: Final = 2_000
REJECTIONS: Final = 50
"""At a time; each may be 1 MiB."""


class Derived(NamedTuple):
    """What a classification comes to; None where it comes to nothing."""

    kle: str | None
    facet: str | None
    rule: str | None


class Change(NamedTuple):
    """An entry that would be another."""

    key: EntryKey
    before: Derived
    after: Derived


class Mended(NamedTuple):
    """An open rejection that would be none."""

    rejection_id: str
    authority: str
    system: str
    code: str
    events: list[Accepted]


@dataclass(slots=True)
class Counts:
    """Of what was looked at. moves: how many entries go from which number to which."""

    entries: int = 0
    changed: int = 0
    unmapped: int = 0
    rejections: int = 0
    solved: int = 0
    moves: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        """For printing: the moves, the most frequent first."""
        moves = [{"before": a, "after": b, "entries": n} for (a, b), n in self.moves.most_common()]
        names = ("entries", "changed", "unmapped", "rejections", "solved")
        return {**{name: getattr(self, name) for name in names}, "moves": moves}


def with_rules(known: Facts, sets: Mapping[Key, Sequence[Rule]]) -> Facts:
    """The reference data as they would stand with these sets."""
    return replace(known, kle=replace(known.kle, rules=replaced(known.kle.rules, sets)))


def preview(
    connection: Connection, settings: Settings, wanted: Facts, scopes: Sequence[Scope], at: int, counts: Counts
) -> Iterator[Change | Mended]:
    """Every entry and every rejection that would change by the facts that are wanted; `counts` grows with them."""
    yield from changes(connection, wanted, scopes, counts)
    for mended in solved(connection, settings, wanted, scopes, at, counts):
        counts.solved += 1
        yield mended


def changes(connection: Connection, wanted: Facts, scopes: Sequence[Scope], counts: Counts) -> Iterator[Change]:
    """Entries in key order, scope by scope; one that stands in two is told once."""
    for place, scope in enumerate(scopes):
        came: EntryKey | None = None
        while rows := page(connection, scope, came, ENTRIES):
            for stored in rows:
                came, derived, maps_to_nothing = anew(stored, wanted)
                if any(earlier.holds(came.authority, came.system) for earlier in scopes[:place]):
                    continue
                counts.entries += 1
                counts.unmapped += maps_to_nothing
                if derived == stored:
                    continue
                change = Change(came, *(_derived(load(read(row)[1])) for row in (stored, derived)))
                counts.changed += 1
                counts.moves[change.before.kle, change.after.kle] += 1
                yield change


def solved(
    connection: Connection, settings: Settings, wanted: Facts, scopes: Sequence[Scope], at: int, counts: Counts
) -> Iterator[Mended]:
    """Open rejections of which nothing would be rejected again."""
    for kept, judged in rejudged(connection, settings, wanted, scopes, at, counts):
        if (mended := mended_by(kept, judged)) is not None:
            yield mended


def rejudged(
    connection: Connection, settings: Settings, wanted: Facts, scopes: Sequence[Scope], at: int, counts: Counts
) -> Iterator[tuple[Kept, list[Judged]]]:
    """Open rejections that a mapping may mend, with what would become of every event in them."""
    for place, scope in enumerate(scopes):
        for kept in _mendable(connection, scope):
            if any(earlier.holds(kept["authority"], kept["system"]) for earlier in scopes[:place]):
                continue
            counts.rejections += 1
            try:
                judged = judged_again(kept, settings, wanted, at)
            except UnreadableError:
                continue
            yield kept, judged


def mended_by(kept: Kept, judged: Sequence[Judged]) -> Mended | None:
    """None where something in it would be rejected again."""
    if refused(judged) is not None:
        return None
    return Mended(kept["rejection_id"], kept["authority"], kept["system"], kept["code"], accepted(judged))


def _mendable(connection: Connection, scope: Scope) -> Iterator[dict[str, Any]]:
    asked = {**scope._asdict(), "codes": list(MENDED), "limit": REJECTIONS}
    after = NIL
    with connection.cursor(row_factory=dict_row) as cursor:
        while rows := cursor.execute(query("mendable_rejections"), {**asked, "after": after}).fetchall():
            yield from rows
            after = rows[-1]["rejection_id"]


def _derived(state: State) -> Derived:
    content = state.groups.get("classification", (NEVER, {}))[1]
    return Derived(content.get("kle"), content.get("facet"), content.get("rule"))
