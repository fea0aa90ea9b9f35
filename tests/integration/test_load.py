"""A full load on a real Kafka and PostgreSQL: what it sends, what it keeps of a broken one, and when it is complete."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import AsyncConnection
from pydantic import SecretStr

from broker.api.core import FactsCache
from broker.cli import main
from broker.domain.reconcile import Held
from broker.intake.canonical import iso
from broker.intake.connector import Source
from broker.intake.forms import Item
from broker.intake.loading import Hand, LoadFailed, Piece, from_files, load
from broker.intake.verdicts import Sender, canonical_offers
from broker.settings import Settings
from broker.store import loading as store
from broker.store.database import connect
from broker.stream.framing import Decoder
from connectors.esdh.sbsys.simulator import Simulator
from ops.demo.payloads import stream
from ops.demo.world import AARHUS
from ops.embedded.part import Part
from tests.contract.polling import served
from tests.integration.running import AUTHORITY, KLE, OUTSIDE, event, log_of, prepare
from tests.integration.test_reconcile import AS_OF, put_entry

DECODER = Decoder("case_event", lambda _: None)
FORM = "6f1b7c1e-0000-4000-8000-{:012x}"


@dataclass(slots=True)
class Scene:
    """Parts, ready; `known`: what of the log has been looked at."""

    settings: Settings
    data: Path
    known: set[tuple[int, int]]

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--json", "--data", str(self.data)])

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute(statement.encode()).fetchall()

    async def sent(self) -> list[dict[str, Any]]:
        """What has come into the log since, each partition's in order."""
        log = await log_of(self.settings.kafka)
        known = sorted(place for place in log if place not in self.known)
        return [DECODER.decode(log[place][1]) for place in known]


@pytest.fixture
async def scene(database: str, kafka: Part, tmp_path: Path) -> Scene:
    settings = Settings(kafka=kafka.address, database=SecretStr(database))
    await asyncio.to_thread(prepare, settings)
    where: dict[str, Any] = {"api": None, "registry": None, "kafka": kafka.address, "database": database, "metrics": []}
    (tmp_path / "instance.json").write_text(json.dumps(where))
    return Scene(settings, tmp_path, set(await log_of(kafka.address)))


def written(path: Path, events: Iterable[object]) -> Path:
    path.write_bytes(b"".join(json.dumps(one).encode() + b"\n" for one in events))
    return path


def case(number: int, **more: Any) -> dict[str, Any]:
    return event(number, case_id=FORM.format(number), **more)


def last(result: Result) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return said


async def test_a_load_sends_what_may_come_in_and_keeps_what_was_refused(scene: Scene) -> None:
    events = [case(number) for number in range(1, 120)]
    events += [case(200, classification={"kle": OUTSIDE}), case(201, classification={"kle": "99.99.99"})]
    path = written(scene.data / "cases.ndjson", [*events, {"case_id": 1, "event_id": 2, "authority": 3}])
    ran = await asyncio.to_thread(scene.run, "load", "sbsys", str(path), "--authority", AUTHORITY, "--chunk", "50")
    assert ran.exit_code == 0, ran.output
    said = last(ran)
    assert {name: said[name] for name in ("chunks", "payloads", "sent", "delimited", "rejected")} == {
        "chunks": 3, "payloads": 122, "sent": 119, "delimited": 0, "rejected": 3,
    }  # fmt: skip
    assert {one["case_id"] for one in await scene.sent()} == {FORM.format(number) for number in range(1, 120)}
    assert Counter(code for (code,) in scene.rows("SELECT code FROM rejection")) == Counter(
        ["outside_agreement", "kle_unknown", "schema_violation"]
    )
    assert said["areas"] == [{"kle_area": "27.*", "sent": 119, "reconciled_at": None, "complete": False}]


async def test_a_load_that_broke_off_goes_on_where_it_was(scene: Scene) -> None:
    path = written(scene.data / "cases.ndjson", (case(number) for number in range(1, 101)))
    source = Source("sbsys", AUTHORITY)

    async def torn(pieces: AsyncIterator[Piece], after: int) -> AsyncIterator[Piece]:
        async for piece in pieces:
            if after == 0:
                raise LoadFailed("torn")
            after -= 1
            yield piece

    async with await AsyncConnection.connect(scene.settings.dsn, autocommit=True) as connection:
        hand = Hand(scene.settings, connection, FactsCache().current, Sender("sbsys", frozenset({AUTHORITY})))
        begun = await store.begin(connection, (AUTHORITY, "sbsys"), b"x", 10)
        with pytest.raises(LoadFailed, match="torn"):
            await load(hand, connection, begun, torn(from_files([path], None, source, 10, 0), 4), None, lambda *_: None)
        done = await store.done(connection, begun.id)
        assert (done.chunks, done.sent) == (3, 30)
        again = await store.begin(connection, (AUTHORITY, "sbsys"), b"x", 99)
        assert again == begun
        rest, weighed = from_files([path], None, source, again.chunk_size, done.chunks), list[float]()
        done = await load(hand, connection, again, rest, None, lambda _, weight: weighed.append(weight))
        assert sum(weighed) == path.stat().st_size
        assert (done.chunks, done.sent) == (10, 100)
        assert (await store.begin(connection, (AUTHORITY, "sbsys"), b"x", 99)).id != begun.id
    times = Counter(one["event_id"] for one in await scene.sent())
    assert {event_id for event_id, number in times.items() if number == 2} == {f"event-{n}" for n in range(31, 41)}
    assert len(times) == 100


async def test_one_load_is_not_done_by_two_at_once(scene: Scene) -> None:
    async with await AsyncConnection.connect(scene.settings.dsn, autocommit=True) as first:
        begun = await store.begin(first, (AUTHORITY, "sbsys"), b"x", 10)
        async with await AsyncConnection.connect(scene.settings.dsn, autocommit=True) as second:
            await second.execute("SET lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await store.begin(second, (AUTHORITY, "sbsys"), b"x", 10)
            await first.close()
            await second.execute("SET lock_timeout = '20s'")
            assert await store.begin(second, (AUTHORITY, "sbsys"), b"x", 10) == begun


async def test_a_source_is_asked_for_more_only_when_what_it_gave_is_remembered(scene: Scene) -> None:
    remembered = []

    async def pages() -> AsyncIterator[Piece]:
        for number in range(1, 4):
            items = [Item(case(number))]
            yield Piece(1, 1, lambda items=items: canonical_offers(items), {"page": number})  # type: ignore[misc]
            remembered.append(scene.rows("SELECT max(cursor ->> 'page') FROM load_chunk"))

    async with await AsyncConnection.connect(scene.settings.dsn, autocommit=True) as connection:
        hand = Hand(scene.settings, connection, FactsCache().current, Sender("sbsys", frozenset({AUTHORITY})))
        begun = await store.begin(connection, (AUTHORITY, "sbsys"), b"asked", 10)
        done = await load(hand, connection, begun, pages(), None, lambda *_: None)
    assert remembered == [[("1",)], [("2",)], [("3",)]]
    assert done.cursor == {"page": 3}


async def test_a_system_that_tells_of_changes_only_is_not_asked_for_all(scene: Scene) -> None:
    config = scene.data / "w.json"
    config.write_text(json.dumps({"vendor": {}}))
    ran = await asyncio.to_thread(scene.run, "load", "workpoint", "--config", str(config), "--authority", AUTHORITY)
    assert (ran.exit_code, "cannot be asked for all" in ran.output) == (1, True)


async def test_what_may_no_longer_be_held_leaves_before_anything_comes(scene: Scene) -> None:
    with connect(scene.settings.dsn, "test") as connection:
        put_entry(connection, FORM.format(1), Held(AS_OF - 9, AS_OF), KLE)
    path = written(
        scene.data / "c.ndjson", [case(1, classification={"kle": OUTSIDE}), case(2, classification={"kle": OUTSIDE})]
    )
    ran = await asyncio.to_thread(scene.run, "load", "sbsys", str(path), "--authority", AUTHORITY)
    assert last(ran)["rejected"] == 2
    assert [(one["case_id"], one["change"]) for one in await scene.sent()] == [(FORM.format(1), "REMOVED")]


async def test_a_vendors_files_are_loaded_whole_or_by_line_and_an_unreadable_one_sends_nothing(
    scene: Scene,
) -> None:
    opened = {sample.payload["Id"]: sample.payload for sample in stream(6, 30, 30) if "PrimaryPart" in sample.payload}
    payloads = [one | {"Nummer": f"{KLE}-G01-1-24", "SagsTitel": "Sag"} for one in opened.values()]
    for one in payloads:
        one["SagsNummer"] = {"EmneplanNummer": {"Nummer": KLE}, "Facet": {"Nummer": "G01"}}
    whole, lines = scene.data / "a.json", written(scene.data / "b.ndjson", payloads[5:])
    whole.write_text(json.dumps(payloads[:5]))
    torn = scene.data / "torn.json"
    torn.write_text("[{")
    named = ("--authority", AUTHORITY, "--chunk", "3")
    refused = await asyncio.to_thread(scene.run, "load", "sbsys", str(torn), *named)
    assert (refused.exit_code, "malformed_payload" in refused.output) == (1, True)
    ran = await asyncio.to_thread(scene.run, "load", "sbsys", str(whole), str(lines), *named)
    assert ran.exit_code == 0, ran.output
    said = last(ran)
    assert said["payloads"] == len(payloads)
    sent = await scene.sent()
    assert said["sent"] == len(sent) == len(payloads) - said["rejected"]
    assert said["sent"] > len(payloads) // 2


async def test_a_rate_is_kept(scene: Scene) -> None:
    path = written(scene.data / "c.ndjson", (case(number) for number in range(1, 31)))
    arguments = ("load", "sbsys", str(path), "--authority", AUTHORITY, "--chunk", "10", "--rate", "50")
    ran = await asyncio.to_thread(scene.run, *arguments)
    assert last(ran)["seconds"] >= 0.6


async def test_all_that_a_vendors_api_has_is_loaded_page_by_page(scene: Scene) -> None:
    payloads = {sample.payload["Id"]: sample.payload for sample in stream(5, 40, 40) if sample.expect == "indexed"
                and sample.authority == AARHUS and "SagsTitel" in sample.payload}  # fmt: skip
    assert len(payloads) > 5
    with connect(scene.settings.dsn, "test") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO kle_subject SELECT '2020-01-01', number, 'x' FROM unnest(%s::text[]) AS number"
            " ON CONFLICT DO NOTHING",
            [[one["SagsNummer"]["EmneplanNummer"]["Nummer"] for one in payloads.values()]],
        )
        body = {**AGREED, "kle": ["N*"]}
        connection.execute(
            "UPDATE sender_agreement SET body = %s WHERE authority = %s AND system = 'sbsys'",
            [json.dumps(body), AUTHORITY],
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
    async with served(Simulator(list(payloads.values())).app) as url:
        config = scene.data / "sbsys.json"
        vendor = {
            "url": url,
            "token_path": "/connect/token",
            "per_second": 1000,
            "client_id": "demo",
            "client_secret": "s",
        }
        config.write_text(json.dumps({"vendor": vendor}))
        arguments = ("load", "sbsys", "--config", str(config), "--authority", AUTHORITY)
        ran = await asyncio.to_thread(scene.run, *arguments)
        assert ran.exit_code == 0, ran.output
        assert last(ran)["sent"] == len(payloads)
        assert {one["case_id"] for one in await scene.sent()} == {
            one["SagIdentity"].lower() for one in payloads.values()
        }
        # Nothing projects here: so all of it is missing, and the source is asked for exactly that.
        wanted = sorted(one["SagIdentity"].lower() for one in payloads.values())[:3]
        lines = [{"case_id": case_id, "registered_at": iso(AS_OF), "kle": KLE} for case_id in wanted]
        manifest = written(scene.data / "manifest.ndjson", lines)
        named = ("--authority", AUTHORITY, "--as-of", "2024-06-01T00:00:00Z", "--config", str(config), "--repair")
        scene.known |= set(await log_of(scene.settings.kafka))
        ran = await asyncio.to_thread(scene.run, "reconcile", "sbsys", str(manifest), *named)
        assert ran.exit_code == 3
        assert last(ran) == {"event": "repaired", "removed": 0, "sent_again": 3, "wanted": 3}
        assert {one["case_id"] for one in await scene.sent()} == set(wanted)


AGREED = {
    "authority": AUTHORITY, "system": "sbsys", "state": "FULL", "sensitivity": "VIP_SAGER", "from_date": "2020-01-01",
}  # fmt: skip


async def test_an_area_is_complete_only_when_the_source_has_been_compared_since(scene: Scene) -> None:
    path = written(scene.data / "cases.ndjson", [case(1)])
    named = ("--authority", AUTHORITY)
    manifest = written(scene.data / "m.ndjson", [{"case_id": FORM.format(1), "registered_at": iso(AS_OF), "kle": KLE}])
    compare = ("reconcile", "sbsys", str(manifest), *named, "--as-of", iso(AS_OF))
    with connect(scene.settings.dsn, "test") as connection:
        put_entry(connection, FORM.format(1), Held(AS_OF, AS_OF), KLE)
    assert (await asyncio.to_thread(scene.run, *map(str, compare))).exit_code == 0
    assert (await asyncio.to_thread(scene.run, "load", "sbsys", str(path), *named)).exit_code == 0
    status = ("load", "sbsys", *named, "--status")
    assert not last(await asyncio.to_thread(scene.run, *status))["complete"]
    assert (await asyncio.to_thread(scene.run, *map(str, compare))).exit_code == 0
    assert last(await asyncio.to_thread(scene.run, *status))["complete"]


async def test_what_vanished_is_removed_by_an_event_and_never_a_tenth_of_all_unasked(scene: Scene) -> None:
    def fill(connection: psycopg.Connection[Any], numbers: range) -> None:
        for number in numbers:
            put_entry(connection, FORM.format(number), Held(AS_OF - number, AS_OF), KLE)

    with connect(scene.settings.dsn, "test") as connection:
        fill(connection, range(1, 31))
    lines = [{"case_id": FORM.format(n), "registered_at": iso(AS_OF - n), "kle": KLE} for n in range(1, 31)]
    most = written(scene.data / "most.ndjson", lines[:-3])
    few = written(scene.data / "few.ndjson", lines[:5])
    named = ("--authority", AUTHORITY, "--as-of", str(iso(AS_OF)), "--repair")
    refused = await asyncio.to_thread(scene.run, "reconcile", "sbsys", str(few), *named)
    assert refused.exit_code == 1
    assert await scene.sent() == []
    ran = await asyncio.to_thread(scene.run, "reconcile", "sbsys", str(most), *named)
    assert last(ran)["removed"] == 3
    removals = {one["case_id"]: one for one in await scene.sent()}
    assert {(case_id, one["change"], one["registered_at"]) for case_id, one in removals.items()} == {
        (FORM.format(number), "REMOVED", AS_OF - number) for number in range(28, 31)
    }
    assert scene.rows("SELECT count(*) FROM entry") == [(30,)]
    ran = await asyncio.to_thread(scene.run, "reconcile", "sbsys", str(few), *named, "--remove-many")
    assert last(ran)["removed"] == 25
