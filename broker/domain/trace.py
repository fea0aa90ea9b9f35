"""W3C trace context: what of a caller's `traceparent` is carried on. Pure. Source: W3C Trace Context, level 1.

A trace id is never trusted: what is malformed is replaced, and so is one that holds a CPR number beside nothing but
zeros. `tracestate` is a vendor's free text, which may hold anything: it is not carried.
"""

import re
from typing import Final, NamedTuple

from broker.domain.identity import is_cpr

TRACEPARENT: Final = "traceparent"
RANDOM_BYTES: Final = 24
_HEADER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED: Final = 1


class Trace(NamedTuple):
    """One step of a trace: 32 and 16 hexadecimal digits, and whether somebody keeps its spans."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        """As the header."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


def read(header: str) -> Trace | None:
    """The caller's step; None where the header is not one, or not to be trusted."""
    found = _HEADER.fullmatch(header)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    if not (_is_id(trace_id) and _is_id(span_id)):
        return None
    return Trace(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def continued(before: Trace | None, fresh: bytes) -> Trace:
    """Our own step of that trace, or of a new one.

    Args:
        fresh: 24 random bytes.
    """
    span_id = fresh[16:].hex() if any(fresh[16:]) else f"{1:016x}"
    if before is not None:
        return before._replace(span_id=span_id)
    return Trace(fresh[:16].hex() if any(fresh[:16]) else f"{1:032x}", span_id, sampled=False)


def _is_id(said: str) -> bool:
    """Not all zeros, and no person's number written to that length."""
    return said.strip("0") != "" and not any(
        is_cpr(said[place : place + 10]) and not said[:place].strip("0") and not said[place + 10 :].strip("0")
        for place in range(len(said) - 9)
    )
