"""Every way in which a case leaves the index, each as the keys of the cases that it lets out.

What is asked is the same for all of them: one world, with its cases in a real index and its persons in a real register.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.identity import EntryKey
from broker.domain.policy import Query, Reader, Role
from broker.overviews.asking import known
from broker.overviews.changes import Stream
from broker.overviews.dossier import DossierRequest, dossier
from broker.overviews.explaining import ExplainRequest, NotFound, explained
from broker.overviews.feed import Feed
from broker.overviews.place import Place
from broker.overviews.reading import Caller
from broker.overviews.subscription import follower
from broker.overviews.table import table
from broker.overviews.watch import Change, Watch
from broker.processing.publisher import messages, taken_back
from broker.store import coverage, database, outbox, subscriptions
from broker.stream.framing import Decoder
from broker.stream.topics import OVERVIEWS
from tests.integration.searching import AT, INSERT, Index, row
from tests.unit.worlds import AUTHORITIES

MARK = "INSERT INTO dirty (authority, system, case_id, revision) VALUES (%s, %s, %s, 1) ON CONFLICT DO NOTHING"
EMPTY = (
    "TRUNCATE entry, access_log, access_unsealed, source_freshness, dirty, published, subscription, subscription_shown"
)
States = Sequence[tuple[EntryKey, State]]


def stand(index: Index, states: States) -> None:
    """Let the index hold just these cases, and nothing be published or followed."""
    with database.connect(index.dsn, "test") as connection, connection.transaction(), connection.cursor() as cursor:
        cursor.execute(EMPTY)
        cursor.executemany(INSERT, [row(key, state) for key, state in states])


def searched(index: Index, query: Query, request: dict[str, Any], limit: int) -> list[EntryKey]:
    """By a search, page by page; the table for spreadsheets has the same lines."""
    pages = [index.answer(query, **request)] if query.break_glass else list(index.pages(query, **request, limit=limit))
    assert all(page.entries or page.next_cursor is None for page in pages)
    found = [EntryKey(*(entry[name] for name in EntryKey._fields)) for page in pages for entry in page.entries]
    lines = [line for page in pages for line in csv.DictReader(io.StringIO(table(page.entries)))]
    assert [EntryKey(*(line[name] for name in EntryKey._fields)) for line in lines] == found
    return found


@dataclass(frozen=True)
class Told:
    """What a stream has told."""

    shown: set[EntryKey]
    gone: set[EntryKey]


def followed(index: Index, query: Query, citizen: str, keys: Iterable[EntryKey], offset: int) -> Told:
    """By the stream of whoever follows the citizen, when each case is said to have changed."""
    topic, who = OVERVIEWS[query.overview], follower(query.reader)
    listed = list(keys)

    async def tell() -> Told:
        async with index.pool.connection() as connection:
            effort = None if query.effort_id is None else UUID(query.effort_id)
            until = datetime.now(UTC) + timedelta(days=1)
            said = {"citizens": [citizen.removeprefix("CPR:")], "purpose": "Sag", "effort_id": effort, "until": until}
            said["authorities"] = sorted(query.reader.authorities)
            await subscriptions.put(connection, who, query.overview, said)
            (kept,) = await subscriptions.listed(connection, who, query.overview)
            held = await subscriptions.shown(connection, who, query.overview)
            asked, _ = await known(connection, replace(query, citizen=frozenset({citizen})), Facts())
        place = Place((0,) * topic.partitions)
        watch = Watch(topic.name, place, asked.citizen or (), who)
        stream = Stream(index, Feed({}, index.pool), asked, kept, watch, held, place)
        changes = [Change(str(key), 0, offset + number, frozenset()) for number, key in enumerate(listed)]
        told: dict[str, set[EntryKey]] = {"entry": set(), "gone": set()}
        for event in await stream.told(changes, AT):
            told[event.kind].add(EntryKey(*(event.data[name] for name in EntryKey._fields)))
        return Told(told["entry"], told["gone"])

    return index.runner.run(tell())


Topics = dict[tuple[str, EntryKey], dict[str, Any] | None]


def published(index: Index, facts: Facts, states: States, read: Topics) -> Topics:
    """Each overview's topic as whoever has read it holds it, after one more round of publishing."""
    decoder, names = Decoder("overview_entry", lambda _: None), {topic.name: name for name, topic in OVERVIEWS.items()}
    with database.connect(index.dsn, "test") as connection:
        with connection.cursor() as cursor:
            cursor.executemany(MARK, [key for key, _ in states])
        (revision,) = connection.execute("SELECT revision FROM reference_revision").fetchone() or (0,)
        for shard in range(outbox.SHARDS):
            claim = outbox.claim(connection, shard, outbox.START, 500, replace(facts, revision=revision))
            sent, new, broken = messages(replace(claim, at=AT))
            assert not broken
            outbox.note_published(connection, new)
            for topic, key, value in sent:
                entry = EntryKey(*key.decode().split("/"))
                read = {**read, (names[topic], entry): None if value is None else dict(decoder.decode(value))}
            outbox.forget_published(connection, taken_back(sent))
            outbox.settle(connection, shard, claim.entries)
        noted = connection.execute("SELECT overview, authority, system, case_id::text FROM published").fetchall()
    held: Topics = {of: value for of, value in read.items() if value is not None}
    assert {(name, EntryKey(*key)) for name, *key in noted} == {of for of in held if OVERVIEWS[of[0]].sparse}
    return held


AUDITOR = Caller(
    Reader("auditor-1", "Ida", Role.AUDITOR, "", (), None, frozenset(), frozenset(AUTHORITIES)), frozenset(AUTHORITIES)
)


def told_of(index: Index, query: Query, keys: Iterable[EntryKey], caller: Caller = AUDITOR) -> dict[EntryKey, str]:
    """What an explanation says of each, to an auditor; of what is not spoken of, nothing."""
    one = min(query.citizen, default=None) if query.citizen else None
    said = {
        "overview": query.overview,
        "citizen": None if one is None else one.removeprefix("CPR:"),
        "purpose": query.purpose,
        "control_case": query.control_case,
        "effort_id": query.effort_id,
    }

    async def ask(key: EntryKey) -> str | None:
        asked = ExplainRequest.model_validate({**said, **key._asdict()})
        async with index.pool.connection() as connection:
            outcome = await explained(connection, index.facts, caller, asked, query.reader, AT)
        return None if isinstance(outcome, NotFound) else str(outcome["verdict"])

    answers = {key: index.runner.run(ask(key)) for key in keys}
    return {key: verdict for key, verdict in answers.items() if verdict is not None}


def handed_over(index: Index, citizen: str, authority: str) -> set[EntryKey]:
    """By the dossier that an auditor asks for."""

    async def ask() -> set[EntryKey]:
        asked = DossierRequest(citizen=citizen.removeprefix("CPR:"), authority=authority)
        async with index.pool.connection() as connection:
            answer = await dossier(connection, AUDITOR, asked)
        assert isinstance(answer, dict)
        return {EntryKey(authority, entry["system"], entry["case_id"]) for entry in answer["entries"]}

    return index.runner.run(ask())


def counted(index: Index, authority: str) -> Counter[tuple[str, str]]:
    """What coverage tells one authority: entries, and those incomplete, by system."""
    with database.connect(index.dsn, "test") as connection:
        assert coverage.count(connection, 0)

    async def ask() -> list[dict[str, Any]]:
        async with index.pool.connection() as connection:
            return await coverage.rows(connection, [authority], AT.date())

    counts: Counter[tuple[str, str]] = Counter()
    for line in index.runner.run(ask()):
        assert line["authority"] == authority
        counts[line["system"], "entries"] += line["entries"]
        counts[line["system"], "incomplete"] += line["incomplete"]
    return +counts
