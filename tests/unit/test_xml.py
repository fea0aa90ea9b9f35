"""Reading XML that anybody may have made: nothing is resolved, nothing fetched, and nothing grows."""

import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from broker.api import guard
from broker.domain.outcome import Code, Rejected
from broker.intake.xml import DEEPEST, LARGEST, MOST, WIDEST, local_name, parse

LAUGHS = '<!DOCTYPE l [<!ENTITY a0 "ha">{}]><l b="&a9;">&a9;</l>'.format(
    "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
)
QUADRATIC = f'<!DOCTYPE q [<!ENTITY a "{"x" * 50_000}">]><q>{"&a;" * 50_000}</q>'


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


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
    "a document type in UTF-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-+ADw-a/+AD4-',
    "an entity in an attribute": '<!DOCTYPE a [<!ENTITY x "y">]><a b="&x;"/>'.encode("utf-16"),
    "a text of eleven million letters": b"<a>" + b"x" * 11_000_000 + b"</a>",
    "a document type behind a comment": b'<?xml version="1.0"?><!-- - --><?p?>\n<!DOCTYPE a><a/>',
    "one level too many": nested(DEEPEST + 1),
    "a hundred thousand open ends": b"<a>" * 100_000,
    "JSON": b"{}",
    "a number": b"<a>010145-5001",
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_plain_well_formed_xml_is_refused(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected)
    assert found.code is Code.MALFORMED_PAYLOAD
    assert "root:" not in found.detail
    assert "010145" not in found.detail


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" + b"x" * LARGEST + b"</a>",
        b"<a>" + b"<b/>" * MOST + b"</a>",
        b"<a " + b" ".join(b'x%d="1"' % number for number in range(WIDEST + 1)) + b"/>",
        b"<a " + b" ".join(b'xmlns:x%d="u"' % number for number in range(WIDEST + 1)) + b"/>",
        b"<a " + b" ".join(b'x%d="1"' % number for number in range(100_000)) + b"/>",
        b" " * (LARGEST + 1),
    ],
    ids=["bytes", "elements", "attributes", "namespaces", "100 000 attributes", "spaces"],
)
def test_what_is_too_large_is_called_so(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected)
    assert found.code is Code.TOO_LARGE


@pytest.mark.parametrize(
    "body",
    [
        b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        b"<a " + b" ".join(b'x%d=""' % number for number in range(600_000)) + b"/>",
        b"<a>" + b"x" * 50_000_000 + b"</a>",
    ],
    ids=["elements", "attributes", "letters"],
)
def test_what_is_far_too_large_is_refused_before_anything_is_built_of_it(body: bytes) -> None:
    tracemalloc.start()
    found = parse(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(found, Rejected)
    assert found.code is Code.TOO_LARGE
    assert peak < 1_000_000


def test_as_much_is_read_as_the_intake_lets_in() -> None:
    assert guard.LARGEST_BODY == LARGEST


def test_the_depth_is_bounded() -> None:
    assert not isinstance(parse(nested(DEEPEST)), Rejected)
    for depth in (DEEPEST + 1, 300, 5_000, 1_000_000):
        assert isinstance(parse(nested(depth)), Rejected)


@pytest.mark.parametrize(
    "body",
    [
        "\ufeff<a>Ærø</a>".encode(),
        "<a>Ærø</a>".encode("utf-16"),
        b"<a><![CDATA[<!DOCTYPE a>]]></a>",
        b"<a>" + b"x" * 1_000_000 + b"</a>",
        b'<x:a xmlns:x="urn:x"><!-- no --><?no no?></x:a>',
    ],
    ids=["a mark", "UTF-16", "a document type as text", "a long text", "a prefix and a comment"],
)
def test_plain_xml_is_read_and_named_without_its_namespace(body: bytes) -> None:
    found = parse(body)

    assert not isinstance(found, Rejected)
    assert local_name(found) == "a"


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


def test_who_allows_a_larger_document_gets_long_texts_too_and_no_document_type() -> None:
    text, largest = b"<a>" + b"x" * (20 << 20) + b"</a>", 32 << 20

    assert isinstance(parse(text), Rejected)
    assert not isinstance(parse(text, largest=largest), Rejected)
    assert isinstance(parse(b"<!DOCTYPE a>" + text, largest=largest), Rejected)
    assert isinstance(parse(b"<a>" * 61 + b"</a>" * 61, largest=largest), Rejected)
    assert isinstance(parse(text + text, largest=largest), Rejected)


@given(st.binary() | st.text().flatmap(lambda text: st.sampled_from([text.encode(), f"<a>{text}</a>".encode()])))
def test_no_body_whatever_makes_it_raise(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected) or etree.iselement(found)


# Bytes of address space: what the interpreter has already, and 300 MiB more.
MEMORY = 300 * 1024 * 1024
CHILD = """
import resource, sys
from broker.intake.xml import parse
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
