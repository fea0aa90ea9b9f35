"""XML from outside: no DTD, no entities, no network, bounded in size, depth and number of nodes. Pure."""

from typing import Final, TypeAlias

from lxml import etree

from broker.domain.outcome import Code, Rejected

Element: TypeAlias = etree._Element  # noqa: SLF001 - the class has no other name

LARGEST: Final = 16 * 1024 * 1024  # bytes: what the intake lets in
DEEPEST: Final = 60
_MOST_MARKS: Final = 500_000  # a tree takes some hundred bytes for each of them
_DEEPER: Final = etree.XPath(f"boolean({'/*' * (DEEPEST + 1)})")


def parse(body: bytes) -> Element | Rejected:
    """The root element. Comments and processing instructions are left out."""
    if len(body) > LARGEST:
        return Rejected(Code.TOO_LARGE, "", f"more than {LARGEST} bytes")
    # Every element has a `<`, every attribute a `=`: counted before anything is built.
    if body.count(b"<") + body.count(b"=") > _MOST_MARKS:
        return Rejected(Code.TOO_LARGE, "", f"more than {_MOST_MARKS} elements and attributes")
    # One parser a document: it keeps state.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        # The parser's words quote the document. It also gives up on what is nested very deep, and on very long texts.
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed XML in the encoding that it names")
    if root.getroottree().docinfo.internalDTD is not None:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "XML without a document type declaration")
    if _DEEPER(root):
        return Rejected(Code.MALFORMED_PAYLOAD, "", f"XML no deeper than {DEEPEST} elements")
    return root


def local_name(element: Element) -> str:
    """Without its namespace: vendors move their elements from one to another with every version."""
    return str(etree.QName(element).localname)
