"""What is compiled does the same as what is written; and the small codec does the same as fastavro."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import compiled
from broker.stream import avro
from broker.stream.framing import BUNDLED, schema, schema_text
from ops.bench.storm import Storm
from tests.strategies import events

NODES = {name: avro.node_of(json.loads(schema_text(name))) for name in BUNDLED}
CASE_EVENT = NODES["case_event"]
DIGEST = """
import hashlib
from ops.bench.storm import AUTHORITY, SYSTEM, WANTED, Storm
from broker.domain import agreement, batch, kle
from broker.processing.arrivals import closer, look
from broker.store.rows import fresh, settle_fresh
from broker.stream.framing import Decoder
from datetime import date
sender = agreement.SenderAgreement(
    AUTHORITY, SYSTEM, 1, agreement.AgreementState.FULL, kle.Patterns.of(["N*"]), 3, date(2000, 1, 1))
book = kle.KleBook((kle.Edition(date(2000, 1, 1), dict.fromkeys((*WANTED, "02.00.00"), "emne")),))
wanted = agreement.Delimitation(kle.Patterns.of(WANTED), date(2000, 1, 1), False)
facts = agreement.Facts(1, {(AUTHORITY, SYSTEM): sender}, delimitations={AUTHORITY: (wanted,)}, kle=book)
records = [(n, 1_800_000_000_000, record.value) for n, record in enumerate(Storm(7, 3000))]
made = batch.plan(look(records, Decoder("case_event", lambda _: None)), facts, batch.Place("t", "i", 0), closer)
cases = list(made.cases.items())
rows, held = fresh(made, cases)
settle_fresh(made, cases, set(held))
print(batch.__file__.endswith(".py"))
print(hashlib.sha256(repr((rows, bytes(made.verdicts), made.rejections)).encode()).hexdigest())
"""


def python(code: str, folder: Path = compiled.ROOT, *, pure: str) -> list[str]:
    environment = {**os.environ, "SAGSBRO_PURE": pure}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_compiled_and_plain_judge_a_storm_alike() -> None:
    plain, as_written = python(DIGEST, pure="1")
    assert plain == "True"
    if not compiled.folder().is_dir():
        pytest.skip("not compiled here: no C compiler, or SAGSBRO_PURE")
    assert python(DIGEST, pure="0") == ["False", as_written]


def test_a_changed_source_is_never_shadowed_by_what_was_compiled_of_the_old_one(tmp_path: Path) -> None:
    shutil.copytree(compiled.ROOT / "broker", tmp_path / "broker", ignore=shutil.ignore_patterns("__pycache__"))
    ask = "import broker.domain.case as it; print(it.__file__)"
    if compiled.folder().is_dir():
        assert python(ask, tmp_path, pure="0")[0].endswith(compiled.SUFFIX)
    source = tmp_path / "broker" / "domain" / "case.py"
    source.write_text(source.read_text() + "# changed\n")
    assert python(ask, tmp_path, pure="0") == [str(source)]


def test_what_is_read_and_written_by_the_thousand_is_within_the_small_codec() -> None:
    assert NODES["case_event"] is not None
    assert NODES["overview_entry"] is not None


@given(events())
def test_the_codec_writes_and_reads_what_fastavro_does(event: Any) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema("case_event"), event)
    assert CASE_EVENT is not None
    assert avro.write(CASE_EVENT, b"", event) == out.getvalue()
    out.seek(0)
    assert avro.read(CASE_EVENT, out.getvalue(), 0) == fastavro.schemaless_reader(out, schema("case_event"), None)


@given(st.data())
def test_hostile_bytes_are_refused_or_read_as_fastavro_reads_them(data: st.DataObject) -> None:
    assert CASE_EVENT is not None
    good = bytearray(next(iter(Storm(data.draw(st.integers(0, 50)), 3))).value[5:])
    for _ in range(data.draw(st.integers(1, 4))):
        if good:
            good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    hostile = bytes(good[: data.draw(st.integers(0, len(good)))])
    try:
        read = avro.read(CASE_EVENT, hostile, 0)
    except ValueError:
        return
    body = io.BytesIO(hostile)
    assert fastavro.schemaless_reader(body, schema("case_event"), None) == read
    assert body.tell() == len(hostile)


@pytest.mark.parametrize("number", [0, -1, 63, 64, -65, 2**31, -(2**62), 2**63 - 1, -(2**63)])
def test_numbers_of_64_bits_go_both_ways(number: int) -> None:
    node = avro.node_of("long")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, "long", number)
    assert node is not None
    assert avro.write(node, b"", number) == out.getvalue()
    assert avro.read(node, out.getvalue(), 0) == number


@pytest.mark.parametrize(
    "schema_json",
    [
        {"type": "long", "logicalType": "timestamp-micros"},
        ["null", "long", "string"],
        {"type": "record", "name": "R", "fields": [{"name": "next", "type": ["null", "R"]}]},
        {"type": "map", "values": "long"},
        "double",
    ],
)
def test_what_is_beyond_the_plain_part_is_left_to_fastavro(schema_json: Any) -> None:
    assert avro.node_of(schema_json) is None
