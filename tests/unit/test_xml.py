"""Reading XML that anybody may have made: nothing is resolved, nothing fetched, and nothing grows."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.outcome import Code, Rejected
from connectors.xml import DEEPEST, LARGEST, MOST, WIDEST, parse

LAUGHS = '<!DOCTYPE l [<!ENTITY a0 "ha">{}]><l b="&a9;">&a9;</l>'.format(
    "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
)
QUADRATIC = f'<!DOCTYPE q [<!ENTITY a "{"x" * 50_000}">]><q>{"&a;" * 50_000}</q>'
HOSTILE = {
    "a file": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "a parameter entity": b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><a/>',
    "a schema elsewhere": b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
    "an empty document type": b"<!DOCTYPE a><a/>",
    "a billion laughs": LAUGHS.encode(),
    "a billion laughs in UTF-16": LAUGHS.encode("utf-16"),
    "a quadratic blow-up": QUADRATIC.encode(),
    "an unknown entity": b"<a>&x;</a>",
    "another encoding than it says": '<?xml version="1.0" encoding="utf-8"?><a>æ</a>'.encode("latin-1"),
    "an encoding of nobody": b'<?xml version="1.0" encoding="klingon"?><a/>',
    "half of UTF-16": b'<?xml version="1.0" encoding="utf-16"?><a/>',
    "NUL": b"<a>\0</a>",
    "nothing": b"",
    "two documents": b"<a/><b/>",
    "an open end": b"<a><b></b>",
    "a doubled attribute": b'<a b="1" b="2"/>',
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_plain_well_formed_xml_is_refused(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected)
    assert found.code is Code.MALFORMED_PAYLOAD
    assert "root:" not in found.detail


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" + b"x" * LARGEST + b"</a>",
        b"<a>" + b"<b/>" * MOST + b"</a>",
        b"<a " + b" ".join(b'x%d="1"' % number for number in range(WIDEST + 1)) + b"/>",
        b"<a " + b" ".join(b'xmlns:x%d="u"' % number for number in range(WIDEST + 1)) + b"/>",
        b"<a " + b" ".join(b'x%d="1"' % number for number in range(100_000)) + b"/>",
    ],
    ids=["bytes", "elements", "attributes", "namespaces", "100 000 attributes"],
)
def test_what_is_too_large_is_called_so(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected)
    assert found.code is Code.TOO_LARGE


def test_the_depth_is_bounded() -> None:
    assert not isinstance(parse(b"<a>" * DEEPEST + b"</a>" * DEEPEST), Rejected)
    for depth in (DEEPEST + 1, 1_000_000):
        assert isinstance(parse(b"<a>" * depth + b"</a>" * depth), Rejected)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_an_encoding_that_is_named_rightly_is_read(encoding: str) -> None:
    found = parse(f'<?xml version="1.0" encoding="{encoding}"?><a>sag om bøn</a>'.encode(encoding))

    assert not isinstance(found, Rejected)
    assert found.text == "sag om bøn"


def test_comments_do_not_cut_a_text_and_inclusions_stay_elements() -> None:
    found = parse(
        b'<a xmlns:xi="http://www.w3.org/2001/XInclude">01<!-- -->02<?p?>03<xi:include href="/etc/passwd"/></a>'
    )

    assert not isinstance(found, Rejected)
    assert found.text == "010203"
    assert len(found) == 1
    assert len(found[0]) == 0


@given(st.binary() | st.text().map(str.encode))
def test_no_body_whatever_makes_it_raise(body: bytes) -> None:
    parse(body)


# Bytes of address space: what the interpreter has already, and 300 MiB more.
MEMORY = 300 * 1024 * 1024
CHILD = """
import resource, sys
from connectors.xml import parse
from broker.domain.outcome import Rejected
from tests.unit.test_xml import HOSTILE
bodies = [*HOSTILE.values(), b"<a>" + b"<b/>" * 4_000_000, b"<a>" * 3_000_000, b"<a>" + b"x" * 50_000_000 + b"</a>"]
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = held + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
assert all(isinstance(parse(body), Rejected) for body in bodies)
print("refused", len(bodies))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="bounds and reads its memory the way Linux has it")
def test_memory_stays_bounded_whatever_comes() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(MEMORY)], capture_output=True, text=True, timeout=120, check=False
    )

    assert (ran.returncode, ran.stdout.strip()) == (0, f"refused {len(HOSTILE) + 3}"), ran.stderr
