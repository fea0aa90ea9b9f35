"""Every `sagsbro` command of the runbooks is run where there is something to see and to mend, as the page has it.

Those of `docker compose` are held against the compose file alone (`tests/unit/test_runbooks.py`): no engine runs here.
"""

import asyncio
import shlex

from click.testing import CliRunner

from broker.cli import main
from broker.store import positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs
from broker.stream.topics import CASE_EVENTS
from ops.embedded.part import Part
from tests.integration.running import AGREEMENT, AUTHORITY, Running, agree, event, running
from tests.integration.test_access_chain import Log, log
from tests.unit.test_runbooks import PAGES, lines

__all__ = ["log"]  # a fixture
SYSTEMS = ("nova", "nexus")
UNKNOWN = "27.77.77"
LINES = sorted({line for page in PAGES for line in lines(page) if line.startswith("sagsbro ")})


async def test_every_command_does_what_its_page_says(log: Log, database: str, kafka: Part) -> None:
    assert len(LINES) > 15
    environment = {
        "SAGSBRO_DATABASE": database,
        "SAGSBRO_KAFKA": kafka.address,
        "SAGSBRO_SEAL_KEY": str(log.settings.seal_key),
    }
    async with running(database, kafka.address) as api:
        await asyncio.to_thread(_at_work, api)
        await asyncio.to_thread(log.sealed, 2, 1)
        for line in LINES:
            await asyncio.to_thread(_know, api, UNKNOWN, known=False)
            values = {"$PARTITION": "0", "$OFFSET": "0", "$EVENT": "event-1", "$REJECTION": await _refused(api)}
            if "replay" in line:
                await asyncio.to_thread(_know, api, UNKNOWN, known=True)
            words = [values.get(word, word) for word in shlex.split(line)[1:]]
            told = await asyncio.to_thread(CliRunner().invoke, main, words, input="y\n", env=environment)
            assert (line, told.exit_code) == (line, 0), told.output
            assert told.output.strip(), line


def _at_work(api: Running) -> None:
    """Two vendors have agreements, and a worker has begun at the topic's beginning."""
    with connect(api.settings.dsn, "test") as connection:
        for system in SYSTEMS:
            agree(connection, {**AGREEMENT, "system": system}, 1)
        client = admin(confluent_options(api.settings))
        positions.claim(connection, CASE_EVENTS.name, logs(client, CASE_EVENTS.name, [0]))


def _know(api: Running, number: str, *, known: bool) -> None:
    with connect(api.settings.dsn, "test") as connection, connection.transaction():
        connection.execute("DELETE FROM kle_subject WHERE number = %s", [number])
        if known:
            connection.execute(
                "INSERT INTO kle_subject (published, number, title) VALUES ('2020-01-01', %s, 'x')", [number]
            )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


async def _refused(api: Running) -> str:
    """An event of each vendor that is refused for its number; the id of nova's newest rejection."""
    for system in SYSTEMS:
        case = event(1, system=system, classification={"kle": UNKNOWN})
        answer = await api.send(case, system=system, authorities=[AUTHORITY])
        assert [one["code"] for one in answer.json()["rejected"]] == ["kle_unknown"]
    ((rejection_id,),) = await asyncio.to_thread(
        api.rows, "SELECT rejection_id::text FROM rejection WHERE system = 'nova' ORDER BY at DESC LIMIT 1"
    )
    return str(rejection_id)
