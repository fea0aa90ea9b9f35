"""XML from outside costs little, whatever it is, and what is wrong with it is said without its words."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from broker.api import guard
from broker.domain.outcome import Code, Rejected
from connectors.xml import DEEPEST, LARGEST, local_name, parse

LAUGHS = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
BOMB = b'<!DOCTYPE a [<!ENTITY l0 "ha">' + LAUGHS + b"]>"


def nested(depth: int) -> bytes:
    return b"<a>" * depth + b"</a>" * depth


@pytest.mark.parametrize(
    "body",
    [
        b"<a>x</a>",
        "\ufeff<a>Ærø</a>".encode(),
        "<a>Ærø</a>".encode("utf-16"),
        '<?xml version="1.0" encoding="iso-8859-1"?><a>Ærø</a>'.encode("latin-1"),
        b"<a><![CDATA[<!DOCTYPE a>]]></a>",
        nested(DEEPEST),
        b"<a>" + b"x" * 1_000_000 + b"</a>",
    ],
)
def test_xml_in_the_encoding_that_it_names_is_read(body: bytes) -> None:
    root = parse(body)

    assert not isinstance(root, Rejected)
    assert local_name(root) == "a"


@pytest.mark.parametrize(
    "body",
    [
        BOMB + b"<a>&l9;</a>",
        BOMB + b'<a b="&l9;"/>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a/>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><a/>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
        b"<!DOCTYPE a><a/>",
        b"<a>&x;</a>",
        nested(DEEPEST + 1),
        nested(300),
        b"<a>" * 100_000,
        b"<a>" + b"x" * 11_000_000 + b"</a>",
        "<a>Ærø</a>".encode("latin-1"),
        b'<?xml version="1.0" encoding="utf-16"?><a/>',
        b'<?xml version="1.0" encoding="no such"?><a/>',
        b"<a/><a/>",
        b"<a",
        b"{}",
        b"",
        b"\0",
    ],
)
def test_what_could_hurt_and_what_is_no_xml_is_refused(body: bytes) -> None:
    refused = parse(body)

    assert isinstance(refused, Rejected)
    assert refused.code is Code.MALFORMED_PAYLOAD


@pytest.mark.parametrize(
    "body",
    [
        b" " * (LARGEST + 1),
        b"<a>" + b"<b/>" * 1_000_000 + b"</a>",
        b"<a " + b" ".join(b'x%d=""' % number for number in range(600_000)) + b"/>",
        b"<a>" + b"x" * 50_000_000 + b"</a>",
    ],
)
def test_what_is_too_large_is_refused_before_a_tree_is_built_of_it(body: bytes) -> None:
    tracemalloc.start()
    refused = parse(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert isinstance(refused, Rejected)
    assert refused.code is Code.TOO_LARGE
    assert peak < 1_000_000


def test_as_much_is_read_as_the_intake_lets_in() -> None:
    assert guard.LARGEST_BODY == LARGEST


def test_what_is_refused_is_not_quoted() -> None:
    refused = parse(b"<a>010145-5001</b>")

    assert isinstance(refused, Rejected)
    assert "010145" not in refused.detail


def test_comments_and_instructions_are_left_out() -> None:
    root = parse(b"<a>x<!-- 1 -->y<?z 2?><b/></a>")

    assert not isinstance(root, Rejected)
    assert (root.text, [local_name(child) for child in root]) == ("xy", ["b"])


@given(st.binary() | st.text().map(lambda text: f"<a>{text}</a>".encode("utf-8", "replace")))
def test_no_body_whatever_raises(body: bytes) -> None:
    found = parse(body)

    assert isinstance(found, Rejected) or etree.iselement(found)
