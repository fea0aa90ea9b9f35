"""A row of the index derived anew from what is kept in it, byte for byte as it would be copied in. Pure."""

from struct import Struct
from typing import Final

import orjson

from broker.domain.agreement import Facts
from broker.domain.batch import Arrival
from broker.domain.identity import EntryKey
from broker.domain.outcome import Rejected
from broker.domain.plain import Admitted, Meaning
from broker.domain.rederive import rederived
from broker.store.document import load, original_of
from broker.store.rows import COLUMNS, Row, plain_row, row
from broker.stream.glance import glance

_COUNT: Final = 2
_LENGTH: Final = Struct(">i")


def anew(stored: Row, facts: Facts) -> tuple[EntryKey, Row, bool]:
    """The entry's key, its row by these facts, and whether its classification maps to nothing.

    Args:
        stored: as PostgreSQL gives it in the binary form of COPY, ordinal 0 and shape without the bit `SEVERAL`.
    """
    key, document = read(stored)
    original = original_of(document)
    if original is not None and (at_a_glance := _glanced(key, document, original, facts)) is not None:
        return key, at_a_glance, False
    state = rederived(key, load(document), facts)
    classification = state.groups.get("classification")
    unmapped = classification is not None and classification[1]["kle"] is None
    return key, row(0, key, state, original), unmapped


def _glanced(key: EntryKey, document: bytes, original: bytes, facts: Facts) -> Row | None:
    """The same of a plain event that maps to something; None: take the long way."""
    plain = glance(original)
    if plain is None:
        return None
    mapped = facts.kle.map(key.authority, key.system, plain.classification, plain.on)
    received_at, agreement_version, _ = orjson.loads(document[: -len(original)])
    if isinstance(mapped, Rejected) or agreement_version is None or received_at % 1000:
        return None
    arrival = Arrival(0, received_at // 1000, original, None, plain=plain)
    return plain_row(0, arrival, Admitted(plain, agreement_version, Meaning(mapped)))


def read(stored: Row) -> tuple[EntryKey, bytes]:
    """The key and the document of a row: its second to fourth value, and its last."""
    at, values = _COUNT, []
    for _ in range(len(COLUMNS)):
        length: int = _LENGTH.unpack_from(stored, at)[0]
        at += 4
        values.append(stored[at : at + length] if length > 0 else b"")
        at += max(0, length)
    digits = values[3].hex()
    case_id = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
    return EntryKey(values[1].decode(), values[2].decode(), case_id), values[-1]
