"""Acadre's XML (PWS, after FESD) -> plain values under the vendor's names, without namespaces. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from broker.domain.outcome import Code, Rejected
from broker.intake.xml import Element, local_name, parse

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
# What the schema lets occur more than once, as far as it is read: a list, also of one.
_MANY: Final = frozenset(
    {
        "AdministrativeUnit",
        "Category",
        "ContactObject",
        "DocumentOutput",
        "Memo",
        "Party",
        "PersonGivenName",
        "PersonMiddleName",
        "PersonSurnameName",
    }
)


def cases(body: bytes) -> Sequence[object] | Rejected:
    """The payloads in a SOAP answer to GetCase, or in `Cases`, ours: each `Case` with what else was read for it."""
    root = parse(body)
    if isinstance(root, Rejected):
        return root
    if local_name(root) == "Cases":
        return [_case(case) for case in root]
    answer = answer_in(root)
    if answer is None or not _is_case(answer):
        return Rejected(Code.MALFORMED_PAYLOAD, "", "a SOAP answer with a CaseFile, or a list of Cases")
    return [{"CaseFile": content(answer)}]


def answer_in(root: Element) -> Element | None:
    """What stands in an envelope's body, or the element itself where there is no envelope."""
    if local_name(root) != "Envelope":
        return root
    return next((answer for part in root if local_name(part) == "Body" for answer in part), None)


def fault_in(body: bytes) -> str | None:
    """All the text of a SOAP fault; None when it is none. Not for logs: it can quote."""
    root = parse(body)
    answer = None if isinstance(root, Rejected) else answer_in(root)
    return None if answer is None or local_name(answer) != "Fault" else "".join(answer.itertext())


def content(element: Element) -> Any:
    """A text, or an object of its children; `@type` is the name of the schema's type where it is said."""
    if element.get(f"{_XSI}nil") in {"true", "1"}:
        return None
    if len(element) == 0:
        return element.text or ""
    found: dict[str, Any] = dict(_type_of(element))
    for child in element:
        name, value = local_name(child), content(child)
        if name in _MANY or name in found:
            before = found.get(name, [])
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    return found


def _type_of(element: Element) -> Iterator[tuple[str, str]]:
    said = element.get(f"{_XSI}type")
    if said is not None:
        yield "@type", said.rpartition(":")[2]


def _case(case: Element) -> object:
    read = content(case)
    if not isinstance(read, dict):
        return read
    # CaseFile, CaseFile2, CaseFile3: one for each version of the service.
    return {("CaseFile" if name.rstrip("0123456789") == "CaseFile" else name): value for name, value in read.items()}


def _is_case(element: Element) -> bool:
    return local_name(element).rstrip("0123456789") == "CaseFile"
