"""What the service answers, as the standard's elements in SOAP 1.1. Pure.

Codes: 20 done [R], 40 refused [I], 44 nothing found [R].
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lxml import etree
from lxml.builder import ElementMaker

from broker.domain.identity import is_uuid
from broker.intake.xml import Element
from connectors.standards.sf1470 import mapping
from connectors.standards.sf1470.names import HEADER, NAMESPACES, OPERATIONS, SOAP, qualified
from connectors.standards.sf1470.requests import Request

DONE: Final = 20
REFUSED: Final = 40
NOTHING: Final = 44
_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"
_LONGEST_TITLE: Final = 255
_LONGEST_KEY: Final = 50

_soap: Final = ElementMaker(namespace=SOAP, nsmap={"soap": SOAP})
_sd, _gd, _sag, _si, _sdi = (
    ElementMaker(namespace=NAMESPACES[prefix], nsmap={prefix: NAMESPACES[prefix]})
    for prefix in ("sd", "gd", "sag", "si", "sdi")
)
_header: Final = ElementMaker(namespace=HEADER, nsmap={"header": HEADER})
_ROLES: Final = {role: uuid for uuid, role in mapping.ROLES.items()}
_STATES: Final = {to: said for said, to in mapping.STATES.items()}


def returned(request: Request, rejected: Sequence[Mapping[str, Any]]) -> bytes:
    """A code for each object, in order; `rejected` as in a receipt's answer: index, code, detail, pointer, remedy."""
    first: dict[int, Mapping[str, Any]] = {}
    for flaw in rejected:
        first.setdefault(flaw["index"], flaw)
    answer = etree.Element(qualified(OPERATIONS[request.operation].answered))
    for index, payload in enumerate(request.payloads):
        kind, uuid = _object(payload)
        if request.operation == "kasser":
            answer.append(_sd.StandardRetur(*_status(first.get(index))))
        else:
            answer.append(_sd.UnikRetur(*_status(first.get(index)), _sd.Type(kind), _sd.UUIDIdentifikator(uuid)))
    return _enveloped(request, answer)


def _status(flaw: Mapping[str, Any] | None) -> list[Element]:
    if flaw is None:
        return [_sd.StatusKode(str(DONE)), _sd.FejlbeskedTekst("OK")]
    where = f" ({flaw['pointer']})" if flaw["pointer"] else ""
    return [
        _sd.StatusKode(str(REFUSED)),
        _sd.FejlbeskedTekst(f"{flaw['code']}: {flaw['detail']}{where}"),
        _sd.DetaljeretFejlbesked(flaw["remedy"]),
    ]


def _object(payload: Mapping[str, Any]) -> tuple[str, str]:
    """Its kind, and its UUID if it has one: an answer without would not be valid."""
    for name, kind in (("SagIndeks", "Sag"), ("OpdaterSagIndeks", "Sag"), ("SagUuid", "Sag"), ("Kasser", "Sag")):
        if name in payload:
            return kind, _uuid(payload[name])
    return "Dokument", _uuid(payload.get("DokumentIndeks", payload.get("OpdaterDokumentIndeks")))


def _uuid(said: object) -> str:
    found = said.get("UUIDIdentifikator") if isinstance(said, dict) else None
    return found if isinstance(found, str) and is_uuid(found.lower()) else _NO_UUID


def not_searched(request: Request, code: str, detail: str, pointer: str) -> bytes:
    """Why a search was not made."""
    flaw = {"code": code, "detail": detail, "pointer": pointer, "remedy": "See the connector guide."}
    return _enveloped(request, _sdi.FremsoegSagDokumentIndeksOutput(_sd.StandardRetur(*_status(flaw))))


def found(request: Request, entries: Sequence[Mapping[str, Any]], shown: frozenset[str] | None) -> bytes:
    """A page of entries; `shown`: the sections that are wanted, None for all."""
    code, text = (DONE, "OK") if entries else (NOTHING, "Intet fundet")
    answer = _sdi.FremsoegSagDokumentIndeksOutput(
        _sd.StandardRetur(_sd.StatusKode(str(code)), _sd.FejlbeskedTekst(text))
    )
    if entries:
        answer.append(_sdi.Antal(_sdi.Element("sager"), _sdi.Antal(str(len(entries)))))
    answer.extend([_case(entry, shown) for entry in entries])
    return _enveloped(request, answer)


def _case(entry: Mapping[str, Any], shown: frozenset[str] | None) -> Element:
    def wanted(section: str) -> bool:
        return shown is None or section in shown

    attributes, states, relations = _sag.AttributListe(), _sag.TilstandListe(), _sag.RelationListe()
    if wanted("egenskaber"):
        attributes.extend(_attributes(entry))
    if wanted("fremdrift"):
        states.extend([_state(step) for step in entry["progress"]])
    if wanted("sagsaktoer"):
        relations.extend(_actors(entry))
    if wanted("sagsklasse"):
        relations.extend(_classes(entry))
    if wanted("journalpost"):
        relations.extend([_document(one, index) for index, one in enumerate(entry["documents"]) if one["document_id"]])
    return _sdi.SagFiltreretOejebliksbillede(
        _sag.ObjektType(_sd.UUIDIdentifikator(entry["case_id"])),
        _sag.Registrering(
            _sd.Tidspunkt(entry["registered_at"]),
            _sd.LivscyklusKode(mapping.IMPORTED),
            _gd.StsTidspunkt(entry["indexed_at"]),
            attributes,
            states,
            relations,
        ),
    )


def _attributes(entry: Mapping[str, Any]) -> list[Element]:
    own = _sag.Egenskaber()
    key = entry["user_key"] or ""
    if 0 < len(key) <= _LONGEST_KEY:
        own.append(_sag.BrugervendtNoegle(_text(key)))
    if (hidden := entry.get("confidential_title")) is not None:
        # The element needs both; the index keeps no ground.
        own.append(
            _sag.OffentlighedUndtaget(
                _sd.TitelAlternativTekst(_text(hidden)[:_LONGEST_TITLE]), _sd.OffentlighedUndtagetHjemmelTekst()
            )
        )
    if 0 < len(key) <= _LONGEST_KEY:
        own.append(_sag.Sagsnummer(_text(key)))
    if entry["title"]:
        own.append(_sag.Titel(_text(entry["title"])[:_LONGEST_TITLE]))
    level = _si.SagIndeksEgenskaber(_si.Foelsomhed(entry["sensitivity"]))
    return [own, _gd.LokalUdvidelseListe(level)]


def _state(step: Mapping[str, Any]) -> Element:
    return _sag.Fremdrift(
        _sag.Virkning(*_effect(step["effective_from"], step["effective_to"])),
        _sag.FremdriftStatusKode(_STATES[step["state"]]),
    )


def _effect(since: str, until: str | None) -> tuple[Element, Element]:
    end = _sd.GraenseIndikator("true") if until is None else _sd.TidsstempelDatoTid(until)
    return _sd.FraTidspunkt(_sd.TidsstempelDatoTid(since)), _sd.TilTidspunkt(end)


def _actors(entry: Mapping[str, Any]) -> list[Element]:
    owner = {"id": f"urn:oio:cvr-nr:{entry['authority']}", "name": entry["authority_name"], "authority": None}
    owner["authority"] = entry["authority"]
    named = (("Ejer", owner), ("Ansvarlig", entry["responsible"]), ("PrimaerBehandler", entry["handler"]))
    return [_actor(role, actor) for role, actor in named if actor is not None]


def _actor(role: str, actor: Mapping[str, Any]) -> Element:
    said = _si.SagsaktoerLokalUdvidelse()
    if actor["name"]:
        said.append(_si.FuldtNavn(_text(actor["name"])[:_LONGEST_TITLE]))
    if actor["authority"]:
        said.append(_si("CVR-Nummer", actor["authority"]))
    return _sag.Sagsaktoer(*_relation(role, actor["id"], said))


def _classes(entry: Mapping[str, Any]) -> list[Element]:
    made = []
    for role, number, title in (
        ("PrimaerKlasse", entry["kle"], entry["kle_title"]),
        ("Handlingsklasse", entry["facet"], None),
    ):
        if number:
            said = _si.SagsklasseLokalUdvidelse()
            if title:
                said.append(_si.Klassetitel(_text(title)[:_LONGEST_TITLE]))
            said.append(_si.BrugervendtNoegle(number))
            made.append(_sag.Sagsklasse(*_relation(role, None, said)))
    return made


def _relation(role: str, reference: str | None, said: Element) -> list[Element]:
    made = [_gd.Rolle(_sd.UUIDIdentifikator(_ROLES[role]))]
    if reference is not None:
        made.append(_gd.ReferenceID(_reference(reference)))
    return [*made, _gd.LokalUdvidelseListe(said)]


def _reference(named: str) -> Element:
    if is_uuid(named.lower()):
        return _sd.UUIDIdentifikator(named)
    return _sd.URNIdentifikator(_text(named)[:_LONGEST_TITLE])


def _document(one: Mapping[str, Any], index: int) -> Element:
    return _sag.Journalpost(
        _gd.Virkning(_effect(one["registered_at"], None)[0]),
        _gd.Indeks(str(index)),
        _gd.ReferenceID(_reference(one["document_id"])),
        _sag.JournalpostEgenskaber(_sag.Dokumenttitel(_text(one["title"])[:_LONGEST_TITLE])),
    )


def _text(said: str) -> str:
    """Without what XML cannot hold."""
    return "".join(char for char in said if char in "\t\n\r" or (char >= " " and char not in "\ufffe\uffff"))


def fault(code: str, detail: str, *, by_sender: bool) -> bytes:
    """Why a request could not be answered at all."""
    made = etree.Element(f"{{{SOAP}}}Fault")
    etree.SubElement(made, "faultcode").text = f"soap:{'Client' if by_sender else 'Server'}"
    etree.SubElement(made, "faultstring").text = f"{code}: {detail}"
    return _written(_soap.Envelope(_soap.Body(made)))


def _enveloped(request: Request, answer: Element) -> bytes:
    transaction = _header.RequestHeader(_header.TransactionUUID(_text(request.transaction or "-")))
    return _written(_soap.Envelope(_soap.Header(transaction), _soap.Body(answer)))


def _written(envelope: Element) -> bytes:
    text: bytes = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return text
