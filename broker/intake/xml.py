"""XML from outside: reading a body that anybody may have made, within bounds. Pure.

No document type at all, so no entities but the five of XML itself; nothing is ever fetched.
"""

import re
from typing import Final, TypeAlias

from lxml import etree

from broker.domain.outcome import Code, Rejected

Element: TypeAlias = etree._Element  # noqa: SLF001 - the only name that the library gives it

LARGEST: Final = 16 * 1024 * 1024
"""Bytes: what the intake lets in."""
DEEPEST: Final = 60
MOST: Final = 400_000
"""Tags, open and closed, and attributes: a tree takes some hundred bytes for each."""
WIDEST: Final = 64
"""Attributes of one element, and namespaces in force there."""
_DOCTYPE: Final = re.compile(rb"(?>\s+|<\?(?>.*?\?>)|<!--(?>.*?-->))*+<!DOCTYPE", re.DOTALL)
_MARKS: Final = b"\xef\xbb\xbf\xfe\xff"
_DEEPER: Final = etree.XPath(f"boolean({'/*' * (DEEPEST + 1)})")
_WIDER: Final = etree.XPath(f"boolean(//*[@*[{WIDEST + 1}]])")
_NO_DOCTYPE: Final = Rejected(Code.MALFORMED_PAYLOAD, "", "XML without a document type")


def parse(body: bytes, most: int = MOST, largest: int = LARGEST) -> Element | Rejected:
    """The root of the document; comments and processing instructions are left out.

    Args:
        most: tags and attributes.
        largest: bytes. Where that is more than `LARGEST`, a text may be as long; else 10 million letters.
    """
    if len(body) > largest:
        return Rejected(Code.TOO_LARGE, "", f"at most {largest} bytes")
    # Every tag has a `<`, every attribute a `=`: counted before anything is built.
    if body.count(b"<") + body.count(b"=") > most:
        return Rejected(Code.TOO_LARGE, "", f"at most {most} tags and attributes")
    # Before the parser learns any entity. UTF-16 is these letters with NULs between; what hides it better is met below.
    plain = body.replace(b"\0", b"").lstrip(_MARKS)
    if _DOCTYPE.match(plain):
        return _NO_DOCTYPE
    # One parser a document: it keeps state.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=largest > LARGEST, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        # The parser's words quote the document. It also gives up on what is nested very deep, and on very long texts.
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed XML in the encoding that it names")
    if root.getroottree().docinfo.internalDTD is not None:
        return _NO_DOCTYPE
    if _DEEPER(root):
        return Rejected(Code.MALFORMED_PAYLOAD, "", f"elements nested at most {DEEPEST} deep")
    if _WIDER(root) or (plain.count(b"xmlns") > WIDEST and _has_many_namespaces(root)):
        return Rejected(Code.TOO_LARGE, "", f"an element with at most {WIDEST} attributes and namespaces")
    return root


def _has_many_namespaces(root: Element) -> bool:
    """From the top down, for what is in force goes on below: the first that has too many ends it."""
    return any(len(element.nsmap) > WIDEST for element in root.iter("*"))


def local_name(element: Element) -> str:
    """Without its namespace: vendors move their elements from one to another with every version."""
    return str(etree.QName(element).localname)
