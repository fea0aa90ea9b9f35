"""Who is asked about, and what is registered of them: read with each question, never kept."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.policy import Query
from broker.overviews.reading import Connection
from broker.store import persons
from broker.store.persons import Persons


async def known(connection: Connection, query: Query, facts: Facts) -> tuple[Query, Facts]:
    """The question with every number of the citizen and of the reader, and the facts with what they have registered."""
    return told(query, facts, await persons.of(connection, mentioned(query), query.effort_id))


async def known_at(connection: Connection, query: Query, facts: Facts, at: datetime) -> tuple[Query, Facts, bool]:
    """The same as it was at a moment, as far as that is kept; and whether their numbers have been joined since."""
    registered, joined_since = await persons.at(connection, mentioned(query), at)
    return *told(query, facts, registered), joined_since


def mentioned(query: Query) -> frozenset[str]:
    """Whom the register is asked about: the citizen and the reader."""
    return (query.citizen or frozenset()) | query.reader.citizen


def told(query: Query, facts: Facts, registered: Persons) -> tuple[Query, Facts]:
    """The same, of what the register has said of those who are mentioned."""
    reader = replace(query.reader, citizen=_all_numbers(query.reader.citizen, registered))
    citizen = None if query.citizen is None else _all_numbers(query.citizen, registered)
    return replace(query, reader=reader, citizen=citizen), replace(facts, persons=registered)


async def with_parties(
    connection: Connection, facts: Facts, entries: Iterable[Entry], asked: frozenset[str] = frozenset()
) -> Facts:
    """The facts with what is registered of everybody in these cases, too: others' addresses are theirs.

    asked: of whom the facts hold all there is.
    """
    parties = {reference for entry in entries for _, reference in entry.parties} - facts.persons.keys() - asked
    others = await persons.of(connection, parties)
    return replace(facts, persons={**others, **facts.persons}) if others else facts


async def numbers_of(connection: Connection, references: frozenset[str]) -> frozenset[str]:
    """Every number that these persons have had, as in `entry.party_ref`."""
    return _all_numbers(references, await persons.of(connection, references))


def _all_numbers(references: frozenset[str], registered: Persons) -> frozenset[str]:
    return references.union(*(registered[ref].numbers for ref in references if ref in registered))
