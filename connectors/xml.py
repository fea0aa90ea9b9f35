"""XML from outside: reading a body that anybody may have made, within bounds. Pure.

No document type at all, so no entities but the five of XML itself; nothing is ever fetched.
"""

from typing import Any, Final, NoReturn, TypeAlias

from lxml import etree

from broker.domain.outcome import Code, Rejected

Element: TypeAlias = etree._Element  # noqa: SLF001 - the only name that the library gives it

LARGEST: Final = 16 * 1024 * 1024
"""Bytes: what the intake lets in."""
DEEPEST: Final = 60
MOST: Final = 200_000
"""Elements: each costs far more memory than the four bytes it can be written in."""
WIDEST: Final = 64
_MOST_MARKS: Final = 500_000
_MALFORMED: Final = Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed XML in the encoding that it names")


class _Unwanted(Exception):  # noqa: N818 - a verdict on a body
    """Ends the parser where it stands; the library reports it as a flaw of its own kind, so the builder keeps why."""


class _Bounded(etree.TreeBuilder):  # type: ignore[misc]
    """Builds a tree until it is too deep or too large, or begins with a document type."""

    def __init__(self) -> None:
        super().__init__(insert_comments=False, insert_pis=False)
        self._depth = 0
        self._count = 0
        self.verdict = _MALFORMED

    def start(self, tag: Any, attrs: Any, nsmap: Any = None) -> Any:
        self._depth += 1
        self._count += 1
        if self._depth > DEEPEST:
            self._end(Code.MALFORMED_PAYLOAD, f"elements nested at most {DEEPEST} deep")
        # The library puts attributes in one by one, and looks at all before each.
        if self._count > MOST or len(attrs) > WIDEST or len(nsmap or ()) > WIDEST:
            self._end(Code.TOO_LARGE, f"at most {MOST} elements, with at most {WIDEST} attributes each")
        return super().start(tag, attrs, nsmap)

    def end(self, tag: Any) -> Any:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, *_said: object) -> None:
        self._end(Code.MALFORMED_PAYLOAD, "XML without a document type")

    def _end(self, code: Code, detail: str) -> NoReturn:
        self.verdict = Rejected(code, "", detail)
        raise _Unwanted


def parse(body: bytes) -> Element | Rejected:
    """The root of the document; comments and processing instructions are left out."""
    if len(body) > LARGEST:
        return Rejected(Code.TOO_LARGE, "", f"at most {LARGEST} bytes")
    # Every element has a `<`, every attribute a `=`: counted before the parser gathers an element's attributes.
    if body.count(b"<") + body.count(b"=") > _MOST_MARKS:
        return Rejected(Code.TOO_LARGE, "", f"at most {_MOST_MARKS} elements and attributes")
    builder = _Bounded()
    parser = etree.XMLParser(
        target=builder,
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        huge_tree=False,
        recover=False,
    )
    try:
        root: Element | None = etree.fromstring(body, parser)
    except (_Unwanted, etree.LxmlError, ValueError, AssertionError, LookupError):
        return builder.verdict
    return builder.verdict if root is None else root


def local_name(element: Element) -> str:
    """Without its namespace: vendors move their elements from one to another with every version."""
    return str(etree.QName(element).localname)
