"""The types of the service as XML Schema and WSDL, made from `types.txt`, which says them in our own short form. Pure.

A line that is not indented begins a namespace, a global element or a type; an indented one is an element in it:
`name type count`. `@name` refers to a global element, `(` and `)` hold a choice, `*` is anything of another namespace.
Count: nothing is one, `?` at most one, `+` one or more, `*` any number.
A type that is not a name: `text:MIN..MAX`, `text:/PATTERN/`, `text:ONE|OTHER`.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from lxml import etree
from lxml.builder import ElementMaker

from broker.intake.xml import Element
from connectors.standards.sf1470.names import HEADER, NAMESPACES, SERVICES, Operation

_XSD: Final = "http://www.w3.org/2001/XMLSchema"
_WSDL: Final = "http://schemas.xmlsoap.org/wsdl/"
_SOAP: Final = "http://schemas.xmlsoap.org/wsdl/soap/"
_TNS: Final = "http://stoettesystemerne.dk/sagsogdokumentindeks"
_COUNTS: Final = {"": ("1", "1"), "?": ("0", "1"), "+": ("1", "unbounded"), "*": ("0", "unbounded")}

_xs: Final = ElementMaker(namespace=_XSD, nsmap={"xs": _XSD, **NAMESPACES})
_wsdl: Final = ElementMaker(
    namespace=_WSDL, nsmap={"wsdl": _WSDL, "soap": _SOAP, "tns": _TNS, "xs": _XSD, "header": HEADER, **NAMESPACES}
)
_soap: Final = ElementMaker(namespace=_SOAP)


class Line(NamedTuple):
    """A line of `types.txt` in its words, and whether it belongs to the one above that is not indented."""

    indented: bool
    words: tuple[str, ...]


@cache
def _lines() -> dict[str, list[Line]]:
    """By namespace prefix."""
    text = files("connectors.standards.sf1470").joinpath("types.txt").read_text(encoding="utf-8")
    found: dict[str, list[Line]] = {}
    for line in text.splitlines():
        if line.startswith("namespace "):
            here = found.setdefault(line.split()[1], [])
        elif line.strip() and not line.startswith("#"):
            here.append(Line(line.startswith(" "), tuple(line.split())))
    return found


def xsd(prefix: str, address: str) -> bytes:
    """The schema of one namespace; `address`: where the others are served. Raises KeyError when there is none."""
    lines = _lines()[prefix]
    schema = _xs.schema(targetNamespace=NAMESPACES[prefix], elementFormDefault="qualified")
    for other, namespace in NAMESPACES.items():
        if other != prefix and any(f"{other}:" in word for line in lines for word in line.words):
            schema.append(getattr(_xs, "import")(namespace=namespace, schemaLocation=f"{address}?xsd={other}"))
    for head, body in _blocks(lines):
        if head[0] == "element":
            schema.append(_typed(_xs.element(name=head[1]), head[2]))
        else:
            schema.append(_complex(head, body))
    return _written(schema)


def _blocks(lines: Sequence[Line]) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    head: tuple[str, ...] | None = None
    body: list[tuple[str, ...]] = []
    for line in lines:
        if line.indented:
            body.append(line.words)
            continue
        if head is not None:
            yield head, body
        head, body = line.words, []
    if head is not None:
        yield head, body


def _complex(head: tuple[str, ...], body: Sequence[tuple[str, ...]]) -> Element:
    """`type NAME` or `type NAME BASE`."""
    made = _xs.complexType(name=head[1])
    holder = made
    if len(head) > 2:  # noqa: PLR2004 - the third word is the base
        holder = _xs.extension(base=head[2])
        made.append(_xs.complexContent(holder))
    if body and body[0][0] == "(" and body[-1][0] == ")":
        return _filled(made, holder, _choice(body[0]), body[1:-1])
    return _filled(made, holder, _xs.sequence(), body)


def _choice(words: tuple[str, ...]) -> Element:
    low, high = _COUNTS[words[1] if len(words) > 1 else ""]
    return _xs.choice(minOccurs=low, maxOccurs=high)


def _filled(made: Element, holder: Element, group: Element, body: Sequence[tuple[str, ...]]) -> Element:
    holder.append(group)
    for words in body:
        if words[0] == "(":
            holder, group = group, _choice(words)
            holder.append(group)
        elif words[0] == ")":
            group = holder
        else:
            group.append(_particle(words))
    return made


def _particle(words: tuple[str, ...]) -> Element:
    name, *rest = words
    if name == "*":
        return _counted(_xs.any(namespace="##other", processContents="lax"), "*")
    if name.startswith("@"):
        return _counted(_xs.element(ref=name[1:]), rest[0] if rest else "")
    return _counted(_typed(_xs.element(name=name), rest[0]), rest[1] if len(rest) > 1 else "")


def _counted(element: Element, count: str) -> Element:
    low, high = _COUNTS[count]
    element.set("minOccurs", low)
    element.set("maxOccurs", high)
    return element


def _typed(element: Element, kind: str) -> Element:
    if not kind.startswith("text:"):
        element.set("type", kind if ":" in kind else f"xs:{kind}")
        return element
    said = kind.removeprefix("text:")
    facets = _xs.restriction(base="xs:string")
    if said.startswith("/"):
        facets.append(_xs.pattern(value=said.strip("/")))
    elif ".." in said:
        low, high = said.split("..")
        facets.extend([_xs.minLength(value=low), _xs.maxLength(value=high)])
    else:
        facets.extend([_xs.enumeration(value=one.replace("_SPACE_", " ")) for one in said.split("|")])
    element.append(_xs.simpleType(facets))
    return element


def wsdl(address: str) -> bytes:
    """The whole description; `address`: where the service is called and its schemas are served."""
    schema = _xs.schema()
    for prefix, namespace in NAMESPACES.items():
        schema.append(getattr(_xs, "import")(namespace=namespace, schemaLocation=f"{address}?xsd={prefix}"))
    made = _wsdl.definitions(_wsdl.types(schema), name="SagDokumentIndeksService", targetNamespace=_TNS)
    for service in SERVICES:
        for operation in service.operations:
            made.append(_message(f"{operation.title}RequestMessage", "request", operation.asked))
            made.append(_message(f"{operation.title}ResponseMessage", "response", operation.answered))
    for service in SERVICES:
        made.append(_wsdl.portType(*map(_abstract, service.operations), name=f"{service.port}PortType"))
    for service in SERVICES:
        binding = _wsdl.binding(name=service.binding, type=f"tns:{service.port}PortType")
        binding.append(_soap.binding(style="document", transport="http://schemas.xmlsoap.org/soap/http"))
        binding.extend([_concrete(operation) for operation in service.operations])
        made.append(binding)
    for service in SERVICES:
        port = _wsdl.port(_soap.address(location=address), name=service.port, binding=f"tns:{service.binding}")
        made.append(_wsdl.service(port, name=service.name))
    return _written(made)


def _message(name: str, part: str, element: str) -> Element:
    return _wsdl.message(
        _wsdl.part(name="header", element="header:RequestHeader"), _wsdl.part(name=part, element=element), name=name
    )


def _abstract(operation: Operation) -> Element:
    return _wsdl.operation(
        _wsdl.input(message=f"tns:{operation.title}RequestMessage"),
        _wsdl.output(message=f"tns:{operation.title}ResponseMessage"),
        name=operation.name,
    )


def _concrete(operation: Operation) -> Element:
    made = _wsdl.operation(_soap.operation(soapAction=operation.action), name=operation.name)
    for way, message, part in ((_wsdl.input, "Request", "request"), (_wsdl.output, "Response", "response")):
        header = _soap.header(message=f"tns:{operation.title}{message}Message", part="header", use="literal")
        made.append(way(header, _soap.body(parts=part, use="literal")))
    return made


def _written(root: Element) -> bytes:
    text: bytes = etree.tostring(root, xml_declaration=True, encoding="utf-8")
    return text
