"""XML from outside: what is refused, and that nothing of it is expanded or fetched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.outcome import Code, Rejected
from connectors.xml import DEEPEST, Element, local_name, parse

LAUGHS = b"".join(
    b'<!ENTITY a%d "%s">' % (level, b"&a%d;" % (level - 1) * 10 if level else b"ha") for level in range(10)
)


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a",
        b"<a/><b/>",
        b"<a>\xff</a>",
        b"<a>&unknown;</a>",
        b"<a>\0</a>",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        b"<!DOCTYPE a [" + LAUGHS + b"]><a>&a9;</a>",
        '<!DOCTYPE a [<!ENTITY x "y">]><a b="&x;"/>'.encode("utf-16"),
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-+ADw-a/+AD4-',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
        b"<a>" + b"x" * 10_000_001 + b"</a>",
        nested(DEEPEST + 1),
        nested(5_000),
    ],
    ids=range(16),
)
def test_what_is_not_plain_well_formed_xml_is_refused(body: bytes) -> None:
    refused = parse(body)

    assert isinstance(refused, Rejected)
    assert refused.code is Code.MALFORMED_PAYLOAD


@pytest.mark.parametrize(
    "body",
    [
        nested(DEEPEST),
        b"\xef\xbb\xbf<a/>",
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe6</a>',
        b'<x:a xmlns:x="urn:x"><!-- no --><?no no?></x:a>',
    ],
    ids=range(4),
)
def test_plain_xml_is_read(body: bytes) -> None:
    root = parse(body)

    assert not isinstance(root, Rejected)
    assert local_name(root) == "a"
    assert [type(inner) for inner in root] in ([], [Element])


@given(st.binary() | st.text().map(str.encode) | st.text().map(lambda text: f"<a>{text}</a>".encode()))
def test_no_body_whatever_makes_it_raise(body: bytes) -> None:
    root = parse(body)

    assert isinstance(root, Rejected) or local_name(root)
