"""A declaration of consent as OS2Forms writes it (Viljestilkendegivelseserklaering), as a consent of ours. Pure.

It names the citizen, who asks, the case and when it was signed. It has neither areas nor authorities nor an end:
whoever imports it says those, and what they say must stand in the text that the citizen signed. Source: OS2Forms,
module os2forms_consent.
"""

import hashlib
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any, Final

from broker.domain.outcome import Code, Rejected

LARGEST: Final = 20 * 1024 * 1024
_SUBJECT, _ASKING = "viljestilkendegivelsessubjekt", "viljetilkendegivelsesrekvirent"


def read(document: bytes, said: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    """A consent in the JSON shape of the contract. `said`: the fields that the document does not have."""
    if len(document) > LARGEST:
        return _flaw("", "too large")
    try:
        text = document.decode("utf-8-sig")
        # No document type, so no entities: neither a file nor a bomb comes in by them.
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            return _flaw("", "with a document type")
        root = ET.fromstring(text)  # noqa: S314 - bounded, and without a document type
    except (ET.ParseError, ValueError):
        return _flaw("", "not XML in UTF-8")
    header = _one(root, "ErklaeringHeader")
    consents = _text(header, "Viljestilkendegivelsestype") == "samtykke"
    if header is None or not consents or _text(header, "Status") != "gaeldende":
        return _flaw("/ErklaeringHeader", "not a consent in force")
    actors = {_text(actor, "Aktoerrolle"): actor for actor in header.iter() if _name(actor) == "Aktoer"}
    citizen, asking = _text(actors.get(_SUBJECT), "Vaerdi"), _text(actors.get(_ASKING), "CVR")
    signed_at, consent_id = _text(root, "Underskriftstidspunkt"), _text(root, "ID")
    if None in (citizen, asking, signed_at, consent_id):
        return _flaw("/ErklaeringHeader/Aktoer", "citizen, who asks, time and id must be there")
    return {
        "consent_id": str(consent_id).removeprefix("urn:uuid:").lower(),
        "citizen": citizen,
        "purpose": "hoi",
        "asked_by_authority": asking,
        "given_by": {"id_type": "CPR", "id": citizen, "capacity": "SELF"},
        "evidence": {
            "method": "DIGITAL",
            "document_id": consent_id,
            "sha256": hashlib.sha256(document).hexdigest(),
            "text_version": _text(header, "Erklaeringsskabelon"),
        },
        "registered_at": signed_at,
        "signed_at": signed_at,
        "valid_from": signed_at,
        **said,
    }


def _flaw(pointer: str, detail: str) -> Rejected:
    return Rejected(Code.CONSENT_MALFORMED, pointer, detail, covered=False)


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _one(element: ET.Element | None, name: str) -> ET.Element | None:
    return None if element is None else next((each for each in element.iter() if _name(each) == name), None)


def _text(element: ET.Element | None, name: str) -> str | None:
    found = _one(element, name)
    return None if found is None or not (found.text or "").strip() else str(found.text).strip()
