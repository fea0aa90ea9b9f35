"""Whatever stands at the door of a connector is answered, quoted nowhere, and costs bounded memory."""

import asyncio
import gzip
import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from broker.intake.connector import load, names
from broker.store.database import connect
from ops.embedded.part import Part
from tests.integration.running import AGREEMENT, Running, agree, running
from tests.unit.test_xml import HOSTILE, nested

MIB = 1024 * 1024
MOST = 400 * MIB
"""Beyond what stood before: this process is server, client and test at once."""
XXE = HOSTILE["a file"].decode()
BODIES = {
    **{name: body for name, body in HOSTILE.items() if name != "nothing"},
    "an entity inside JSON": json.dumps({"Metadata": XXE, "ResultsXml": XXE}).encode(),
    "deep JSON": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep arrays": b"[" * 1_000_000,
    "deep XML": nested(100_000),
    "a million elements": b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
    "a field of 15 MB in JSON": b'{"a":"' + b"x" * 15_000_000 + b'"}',
    "a field of 15 MB in XML": b"<a>" + b"x" * 15_000_000 + b"</a>",
    "JSON in Latin-1": '{"a":"bøn"}'.encode("latin-1"),
    "JSON in UTF-16": '{"a":"bøn"}'.encode("utf-16"),
    "half a letter": '{"a":"ø'.encode()[:-1],
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "bytes of nothing": bytes(range(256)) * 16,
}
SPOKEN = [(name, media) for name in names() if (found := load(name)) is not None for media in found.media_types]


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as started:
        with connect(started.settings.dsn, "test") as connection, connection.transaction():
            for name in set(names()) - {AGREEMENT["system"]}:
                agree(connection, {**AGREEMENT, "system": name}, 1)
        yield started


def peak() -> int:
    """The most memory held since `forget`, bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def forget() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def huge(before: bytes, after: bytes) -> Iterator[bytes]:
    """A field of 50 MB that nobody needs to hold."""
    yield before
    for _ in range(50):
        yield b"x" * 1_000_000
    yield after


async def sent(api: Running, name: str, media: str, body: bytes, **headers: str) -> httpx.Response:
    said = {**await asyncio.to_thread(api.bearer, system=name), "Content-Type": media, **headers}
    return await api.http.post(f"/v1/events/{name}", content=body, headers=said)


async def streamed(api: Running, name: str, media: str, *ends: bytes) -> int:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in huge(*ends):
            yield chunk

    said = {**await asyncio.to_thread(api.bearer, system=name), "Content-Type": media}
    try:
        answer = await api.http.post(f"/v1/events/{name}", content=chunks(), headers=said)
    except httpx.NetworkError:
        # It answers without reading on, and hangs up: while one is still sending, the answer can be lost.
        return httpx.codes.REQUEST_ENTITY_TOO_LARGE
    return answer.status_code


@pytest.mark.skipif(sys.platform != "linux", reason="reads its memory the way Linux has it")
async def test_every_connector_answers_whatever_comes_and_holds_little_of_it(api: Running) -> None:
    forget()
    before, answers = peak(), []
    for name, media in SPOKEN:
        for what, body in BODIES.items():
            answers.append((f"{name} {media}: {what}", await sent(api, name, media, body)))
        bomb = gzip.compress(b'{"a":"' + b"x" * 50_000_000 + b'"}', 1)
        unpacked = await sent(api, name, media, bomb, **{"Content-Encoding": "gzip"})
        long = await streamed(api, name, media, *((b"<a>", b"</a>") if "xml" in media else (b'{"a":"', b'"}')))
        assert (unpacked.status_code, long) == (413, 413)

    held = peak() - before
    assert held < MOST, f"{held / MIB:.0f} MiB"
    for what, answer in answers:
        said = answer.json()
        # One line of text is a table's header, and such a table is empty.
        empty = answer.status_code == httpx.codes.ACCEPTED and what.startswith("sensum ")
        assert said.get("accepted", 0) == 0, what
        assert empty or answer.status_code in (413, 422), what
        assert empty or said.get("code") or said["rejected"], what
        assert "root:" not in answer.text, what
        assert "010145" not in answer.text, what
    assert (await api.http.get("/readyz")).status_code == httpx.codes.OK
