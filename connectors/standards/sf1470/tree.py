"""An object of a request as plain values under the standard's element names, and a digest of what it says. Pure.

The content of a note is left at the door: the index never holds it.
"""

from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from broker.intake.xml import Element

# Elements that may come more than once, wherever they stand.
LISTED: Final = frozenset(
    {
        "Registrering",
        "Egenskaber",
        "SagIndeksEgenskaber",
        "Fremdrift",
        "Sagsaktoer",
        "Sagsklasse",
        "Sagspart",
        "Sagsrelation",
        "Sagsgenstande",
        "Journalpost",
        "Sikkerhedsprofil",
        "SagsitsystemRelation",
        "Dokumentrelation",
        "Dokumentaktoer",
        "Dokumentpart",
        "Dokumentklasse",
        "DokumentitsystemRelation",
        "SagUuid",
        "DokumentUuid",
        "SoegSag",
        "SoegDokument",
        "SoegSagsloeseDokumenter",
        "NOT",
        "SagVis",
        "DokumentVis",
        "SagInkluder",
        "DokumentInkluder",
        "Soegeord",
    }
)
_CONTENT: Final = "Notat"
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def plain(element: Element) -> Any:
    """A text, or what stands in it by name; None when it is empty or said to be nothing.

    A name that should come once and comes twice becomes a list, which no model takes.
    """
    if element.get(_NIL) in ("true", "1"):
        return None
    if len(element) == 0:
        return _text(element)
    found: dict[str, Any] = {}
    doubled: set[str] = set()
    for child in element:
        name = local(child)
        value = plain(child)
        if name in LISTED:
            found.setdefault(name, []).append(value)
        elif name in doubled:
            found[name].append(value)
        elif name in found:
            found[name] = [found[name], value]
            doubled.add(name)
        else:
            found[name] = value
    return found


def local(element: Element) -> str:
    """Its name without the namespace."""
    name: str = etree.QName(element).localname
    return name


def _text(element: Element) -> str | None:
    text = (element.text or "").strip()
    if local(element) == _CONTENT:
        return "left out" if text else None
    return text or None


def without(payload: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """What the sender said, without what was put beside it."""
    return {name: value for name, value in payload.items() if name not in names}
