"""KLE in the database: editions of subjects, lists of facets, authorities' own numbers.

Every change is one change of the reference data. What says the same as before is none. Entries that are called
otherwise from then on are left to sweeps: there may be millions of them, and workers wait for the change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, astuple, replace
from datetime import date
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from broker.domain.kle import Edition, KleBook, difference
from broker.domain.kle_rules import ANY
from broker.domain.retention import Retention
from broker.domain.widening import Brought
from broker.store import facts, kle_book, widening
from broker.store.change import changing
from broker.store.database import query
from broker.store.kle_shapes import LocalNumber
from broker.store.rederivation import Scope
from broker.store.reference import Kept, Putter

Connection = psycopg.AsyncConnection[Any]
SUBJECTS: Final = "COPY kle_subject (published, number, title, retired, preservation, deletion) FROM STDIN"
LOCAL: Final = Kept("kle_local", ("authority",))


class NotInAGroupError(Exception):
    """An authority's own number stands in no group of KL's; the message begins with its pointer."""


class NoSuchEditionError(LookupError):
    """There is no edition of that date."""


async def put_edition(connection: Connection, edition: Edition, putter: Putter) -> dict[str, Any]:
    """Add an edition of the subjects, or replace the one of that date. Raises NotYoursError.

    changed: numbers that are called otherwise from now on; an edition behind newer ones changes none that they know.
    replaced: what stood under that date and was another: its numbers, and how many are added, removed, retitled.
    asks_again: the sources that are asked again, since what it lets in was outside, and not kept.
    """
    putter.must_serve_all()
    brought: list[Brought] = []
    async with changing(connection) as said:
        stood = await _titles(connection)
        before = await _edition(connection, edition.published)
        if before != edition:
            known = await facts.stands(connection)
            await connection.execute("DELETE FROM kle_edition WHERE published = %s", [edition.published])
            await connection.execute("INSERT INTO kle_edition (published) VALUES (%s)", [edition.published])
            await _copy(connection, SUBJECTS, _subjects(edition))
            replaced = sorted((n, by) for n, successors in edition.successors.items() for by in successors)
            await _copy(
                connection,
                "COPY kle_successor (published, number, successor) FROM STDIN",
                [(edition.published, number, by) for number, by in replaced],
            )
            said.append(f"kle_edition {edition.published}")
            brought = await widening.ask(
                connection, known, _with_edition(known.kle, edition), {said[-1]: widening.EVERY}
            )
        changed = {number for number, _ in stood.items() ^ (await _titles(connection)).items()}
        await connection.execute(query("sweep_numbers"), {"numbers": sorted(changed), "authority": None})
        if said:
            await connection.execute(query("owe_rules"), {"authority": ANY, "system": ANY})
    told = {"edition": edition.published.isoformat(), "numbers": len(edition.titles), "changed": len(changed)}
    return told | {"replaced": _replaced(before, edition), "asks_again": widening.told(brought)}


async def put_facets(connection: Connection, facets: Edition, putter: Putter) -> dict[str, Any]:
    """Add a list of facets, or replace the one of that date. Raises NotYoursError."""
    putter.must_serve_all()
    async with changing(connection) as said:
        before = await _editions(connection, "kle_facet_lists", upto=facets.published)
        stood = before[-1].titles if before else {}
        if not before or before[-1] != facets:
            await connection.execute("DELETE FROM kle_facet_list WHERE published = %s", [facets.published])
            await connection.execute("INSERT INTO kle_facet_list (published) VALUES (%s)", [facets.published])
            await _copy(connection, "COPY kle_facet (published, number, title, retired) FROM STDIN", _rows(facets))
            said.append(f"kle_facets {facets.published}")
    changed = len({number for number, _ in stood.items() ^ facets.titles.items()})
    return {"edition": facets.published.isoformat(), "facets": len(facets.titles), "changed": changed}


async def put_local(connection: Connection, numbers: Iterable[LocalNumber], putter: Putter) -> list[dict[str, Any]]:
    """Replace the whole list of every authority that is named. Raises NotYoursError, NotInAGroupError."""
    lists: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async with changing(connection) as said:
        rows = await connection.execute("SELECT DISTINCT left(number, 6) FROM kle_subject")
        groups = {group for (group,) in await rows.fetchall()}
        for place, own in enumerate(numbers):
            if own.number[:6] not in groups:
                raise NotInAGroupError(f"/{place}/number: {own.number} stands in no group of KL's")
            lists[own.authority].append(own.body())
        return await _keep_local(connection, lists, putter, said)


async def clear_local(connection: Connection, authority: str, putter: Putter) -> dict[str, Any]:
    """The authority has no numbers of its own any more. Raises NotYoursError."""
    async with changing(connection) as said:
        (cleared,) = await _keep_local(connection, {authority: []}, putter, said)
        return cleared


async def local_numbers(connection: Connection) -> list[dict[str, Any]]:
    """Every authority's, one by one."""
    rows = await (await connection.execute(LOCAL.every())).fetchall()
    return [own for _, body, _, _ in rows for own in body]


async def number(connection: Connection, asked: str) -> dict[str, Any] | None:
    """What every edition calls the number, when it is gone and what takes its place; None when none knows it."""
    editions = await _editions(connection, "kle_editions", upto=date.max)
    told = [
        {
            "edition": edition.published.isoformat(),
            "title": edition.titles.get(asked),
            "retired": None if asked not in edition.retired else edition.retired[asked].isoformat(),
            "announced_retired": edition.announced(asked),
            "successors": sorted(edition.successors.get(asked, ())),
            **asdict(edition.retention.get(asked, Retention())),
        }
        for edition in editions
        if asked in edition.titles or asked in edition.successors
    ]
    if not told:
        return None
    titles = [one["title"] for one in told if one["title"] is not None]
    newest = editions[-1]
    return {
        "number": asked,
        "title": titles[-1] if titles else None,
        "in_newest_edition": newest.holds(asked, newest.published),
        "editions": told,
    }


async def compared(connection: Connection, before: date, after: date) -> dict[str, Any]:
    """What changed from one edition to another, and how many live entries stand on each number.

    entries: all on the number. since: those of them whose case is from the later edition's date on, so that it is
    what judges them. Raises NoSuchEditionError.
    """
    known = {edition.published: edition for edition in await _editions(connection, "kle_editions", upto=date.max)}
    for day in (before, after):
        if day not in known:
            raise NoSuchEditionError(f"there is no edition of {day}")
    changes = difference(known[before], known[after])
    numbers = sorted({*changes.added, *changes.removed, *changes.retitled})
    rows = await (await connection.execute(query("kle_entries"), {"numbers": numbers, "since": after})).fetchall()
    live = {of: {"entries": entries, "since": since} for of, entries, since in rows}
    none, successors = {"entries": 0, "since": 0}, known[after].successors
    added = [{"number": n, "title": t, **live.get(n, none)} for n, t in sorted(changes.added.items())]
    removed = [
        {"number": n, "title": t, "successors": sorted(successors.get(n, ())), **live.get(n, none)}
        for n, t in sorted(changes.removed.items())
    ]
    retitled = [
        {"number": n, "before": was, "after": now, "announced_retired": known[after].announced(n), **live.get(n, none)}
        for n, (was, now) in sorted(changes.retitled.items())
    ]
    return {
        "before": before.isoformat(),
        "after": after.isoformat(),
        "added": added,
        "removed": removed,
        "retitled": retitled,
    }


async def keep(
    connection: Connection,
    kept: Kept,
    key: tuple[str, ...],
    body: list[dict[str, Any]],
    putter: Putter,
    said: list[str],
) -> dict[str, Any]:
    """A new version, unless it says what the newest says; of nothing, no list is the newest. Raises NotYoursError."""
    must_keep(putter, key[0])
    row = await (await connection.execute(kept.newest(), key)).fetchone()
    version, stood = row or (0, [])
    changed = stood != body
    if changed:
        version += 1
        await connection.execute(kept.insert(), (*key, version, Jsonb(body), putter.name))
        said.append(f"{kept.table} {'/'.join(key)} version {version}")
    return {**dict(zip(kept.key, key, strict=True)), "version": version, "count": len(body), "changed": changed}


async def _keep_local(
    connection: Connection, lists: Mapping[str, list[dict[str, Any]]], putter: Putter, said: list[str]
) -> list[dict[str, Any]]:
    """What stands on these numbers is called otherwise, or comes to another one: that is owed as a rule's is."""
    known, whys, made = await facts.stands(connection), dict[str, Scope](), []
    for authority, listed in sorted(lists.items()):
        made.append(await keep(connection, LOCAL, (authority,), listed, putter, said))
        if made[-1]["changed"]:
            stood = [one.number for one in known.kle.local if one.authority == authority]
            numbers = sorted({*(own["number"] for own in listed), *stood})
            await connection.execute(query("sweep_numbers"), {"numbers": numbers, "authority": authority})
            await connection.execute(query("owe_rules"), {"authority": authority, "system": ANY})
            whys[said[-1]] = Scope(authority)
    others = [one for one in known.kle.local if one.authority not in lists]
    own = [kle_book.local(body) for listed in lists.values() for body in listed]
    wanted = replace(known.kle, local=(*others, *own))
    brought = await widening.ask(connection, known, wanted, whys) if whys else []
    return [one | {"asks_again": widening.told(brought, Scope(one["authority"]))} for one in made]


def _replaced(before: Edition | None, after: Edition) -> dict[str, int] | None:
    if before is None or before == after:
        return None
    changes = difference(before, after)
    counts = {"added": len(changes.added), "removed": len(changes.removed), "retitled": len(changes.retitled)}
    return {"numbers": len(before.titles), **counts}


def _with_edition(book: KleBook, edition: Edition) -> KleBook:
    others = [one for one in book.editions if one.published != edition.published]
    return replace(book, editions=tuple(sorted([*others, edition], key=lambda one: one.published)))


def must_keep(putter: Putter, authority: str) -> None:
    """Raises NotYoursError: what is for `*` is an operator's, an authority's own is its onboarding's."""
    if authority == ANY:
        putter.must_serve_all()
    else:
        putter.must_onboard(authority)


async def _titles(connection: Connection) -> dict[str, str]:
    return dict(await (await connection.execute(query("kle_titles"))).fetchall())


async def _edition(connection: Connection, published: date) -> Edition | None:
    look_up = "SELECT body FROM kle_editions WHERE published = %s"
    row = await (await connection.execute(look_up, [published])).fetchone()
    return None if row is None else kle_book.edition(row[0])


async def _editions(connection: Connection, view: str, upto: date) -> list[Edition]:
    """Of a view, oldest first."""
    look_up = sql.SQL("SELECT body FROM {} WHERE published <= %s ORDER BY published").format(sql.Identifier(view))
    rows = await (await connection.execute(look_up, [upto])).fetchall()
    return [kle_book.edition(row) for (row,) in rows]


def _subjects(edition: Edition) -> list[tuple[Any, ...]]:
    return [(*row, *astuple(edition.retention.get(row[1], Retention()))) for row in _rows(edition)]


def _rows(edition: Edition) -> list[tuple[Any, ...]]:
    return [(edition.published, n, title, edition.retired.get(n)) for n, title in sorted(edition.titles.items())]


async def _copy(connection: Connection, statement: LiteralString, rows: Iterable[tuple[Any, ...]]) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            await copy.write_row(row)
