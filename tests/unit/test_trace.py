"""A traceparent that comes in goes out; a malformed one is replaced, never trusted; no number of a person in either."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import tracing
from broker.domain.trace import RANDOM_BYTES, Trace, continued, read
from broker.logs import tell

HEX = "0123456789abcdef"
FRESH = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)


def ids(length: int) -> st.SearchStrategy[str]:
    """With a letter in them: no number, and not all zeros."""
    return st.builds(lambda text: "a" + text, st.text(HEX, min_size=length - 1, max_size=length - 1))


TRACES = st.builds(Trace, ids(32), ids(16), st.booleans())
NUMBERS = st.sampled_from(["0101014444", "3112991234", "6101014444"])


@given(TRACES)
def test_what_is_written_is_read(trace: Trace) -> None:
    assert read(str(trace)) == trace


@given(TRACES, FRESH)
def test_the_trace_that_comes_in_goes_out_by_a_step_of_our_own(trace: Trace, fresh: bytes) -> None:
    with tracing.incoming([(b"host", b"x"), (b"TraceParent", str(trace).encode())]) as ours:
        ((name, value),) = tracing.kafka_headers(ours)
        assert (name, read(value.decode())) == ("traceparent", ours)
        assert tracing.id_in([(name, value)]) == tracing.current_id()
    assert (ours.trace_id, ours.sampled) == (trace.trace_id, trace.sampled)
    assert ours.span_id != trace.span_id
    assert tracing.current() is None
    assert continued(trace, fresh).trace_id == trace.trace_id


@given(
    st.one_of(st.text(max_size=80), st.from_regex(r"[0-9a-fA-F]{1,3}-[0-9a-fA-F]{30,33}-[0-9a-fA-F]{15,17}-..")), FRESH
)
def test_whatever_is_said_what_goes_out_is_well_formed(said: str, fresh: bytes) -> None:
    out = str(continued(read(said), fresh))
    assert read(out) is not None or read(out.replace(out[3:35], "a" * 32)) is not None
    assert len(out) == 55
    if read(said) is None:
        assert fresh[:16].hex() in out or not any(fresh[:16])


@given(TRACES)
def test_what_is_malformed_is_not_taken(trace: Trace) -> None:
    good = str(trace)
    for bad in (
        good.upper(),
        good + "-more",
        good + " ",
        "ff" + good[2:],
        good.replace(trace.trace_id, "0" * 32),
        good.replace(f"-{trace.span_id}-", f"-{'0' * 16}-"),
        good[:-1],
        "0٠" + good[2:],
        f"{good}, {good}",
    ):
        assert read(bad) is None, bad
    assert read("01" + good[2:] + "-more") == trace, "a later version may say more"
    two = [(b"traceparent", good.encode())] * 2
    with tracing.incoming(two) as ours:
        assert ours.trace_id != trace.trace_id


@given(NUMBERS, st.integers(0, 22), TRACES)
def test_a_person_s_number_written_as_a_trace_is_replaced(number: str, place: int, trace: Trace) -> None:
    padded = ("0" * place + number).ljust(32, "0")
    assert read(str(trace._replace(trace_id=padded))) is None
    assert read(str(trace._replace(span_id=number.rjust(16, "0")))) is None
    with tracing.incoming([(b"traceparent", str(trace._replace(trace_id=padded)).encode())]) as ours:
        assert number not in ours.trace_id


def test_a_line_of_the_log_names_the_trace_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    with tracing.incoming([]) as ours:
        tell("stopping")
    tell("stopped")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("trace_id") for line in lines] == [ours.trace_id, None]
