"""XML from outside -> an element tree, or why not. Pure; whatever comes, memory stays near the size of what came.

No DTD, and so no entities; no network; at most `DEEPEST` elements inside one another.
"""

from typing import Final, TypeAlias

from lxml import etree

from broker.domain.outcome import Code, Rejected

DEEPEST: Final = 60
Element: TypeAlias = etree._Element  # noqa: SLF001 - the library's only name for what it returns
_TOO_DEEP: Final = etree.XPath("boolean(" + "/*" * (DEEPEST + 1) + ")")


def parse(body: bytes) -> Element | Rejected:
    """The outermost element. Texts over 10 MB and more than 256 levels are refused by the library already."""
    # UTF-16 and UTF-32 could hide a DTD from the search for it; nobody sends them.
    if b"\0" in body or b"<!DOCTYPE" in body:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "XML in UTF-8 without a DTD")
    parser = etree.XMLParser(
        resolve_entities=False, load_dtd=False, no_network=True, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root: Element = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, LookupError, ValueError):
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed XML")
    # Once more, for an encoding in which it looks different; and a DTD can only stand before the outermost element.
    if root.getroottree().docinfo.doctype or _TOO_DEEP(root):
        return Rejected(Code.MALFORMED_PAYLOAD, "", f"XML without a DTD, at most {DEEPEST} levels deep")
    return root


def local_name(element: Element) -> str:
    """Without its namespace: vendors change theirs from one operation to the next."""
    return str(etree.QName(element).localname)
