"""eDoc's cases as a search answers them: XML, codes of the system's own lists. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final
from xml.sax.saxutils import escape

from ops.demo.lives import CLOSED, Life, Vendor, Wrong, moment
from ops.demo.sample import Form, Sending
from ops.demo.world import AALBORG, COPENHAGEN, ODENSE, accepted

_ROOT: Final = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<Root xmlns:edoc="http://www.fujitsu.dk/esdh/xml/schemas/2007/01/05/"'
    ' xmlns:fesd="http://rep.oio.dk/fesd.dk/xml/schemas/2005/04/20/"><edoc:CaseFilesSearchResult>'
)
_STATES: Final = ("B", "Oplyst", "Afgjort", "A")
_CONFIDENTIAL: Final = "300002"


def _payload(life: Life) -> dict[str, str]:
    """Name -> text, the participant's among them."""
    case = {
        "fesd:CaseFileIdentifier": str(200_000 + life.number),
        "edoc:SequenceNumber": f"{life.created.year}-{life.number:06}",
        "fesd:TitleText": life.title,
        "edoc:TimeStamp": moment(life.changed),
        "edoc:CreationDate": moment(life.created),
        "fesd:CaseFileStatusCode": _STATES[life.stage],
        "edoc:PrimaryCode": f"{life.kle} {life.title}",
        "edoc:HandlingCodeId": "G01 Generelle sager",
        "edoc:SecurityCode": _CONFIDENTIAL,
        "fesd:CaseFileManagerReference": str(514_000 + life.handler),
        "edoc:OrganisationReference": str(500_000 + life.handler % 5),
        "edoc:CaseParticipantType": "Primær part",
        "edoc:PersonCivilRegistrationIdentifier": life.citizen,
        "edoc:Name": life.name,
    }
    return case | ({"edoc:ClosedDate": moment(life.since)} if life.stage == CLOSED else {})


_OF_THE_PARTICIPANT: Final = ("edoc:CaseParticipantType", "edoc:PersonCivilRegistrationIdentifier", "edoc:Name")


def _element(case: Mapping[str, str]) -> str:
    def written(names: Sequence[str]) -> str:
        return "".join(f"<{name}>{escape(case[name])}</{name}>" for name in names)

    participant = written(_OF_THE_PARTICIPANT)
    return (
        f"<edoc:CaseFileSearchResult>{written([name for name in case if name not in _OF_THE_PARTICIPANT])}"
        f"<edoc:CaseFileParticipants><edoc:CaseFileParticipant>{participant}</edoc:CaseFileParticipant>"
        "</edoc:CaseFileParticipants></edoc:CaseFileSearchResult>"
    )


def _body(batch: Sequence[Sending]) -> bytes:
    cases = "".join(_element(sending.payload) for sending in batch)
    return f"{_ROOT}{cases}</edoc:CaseFilesSearchResult></Root>".encode()


VENDOR: Final = Vendor(
    "edoc",
    "eDoc, cases",
    3,
    {ODENSE: 2, COPENHAGEN: 1},
    accepted,
    {"sensitivity": {_CONFIDENTIAL: "FORTROLIGE_PERSONOPLYSNINGER"}},
    Form("/v1/events/edoc", "application/xml", _body),
    _payload,
    None,
    (
        Wrong(authority=AALBORG, kle="27.36.04"),  # no_agreement
        Wrong(authority=ODENSE, kle="02.34.02", expect="delimited"),
        Wrong(lambda payload, _: payload.update({"fesd:CaseFileStatusCode": "X"})),  # state_unknown
        Wrong(lambda payload, _: payload.update({"edoc:SecurityCode": "300009"})),  # sensitivity_unknown
        Wrong(lambda payload, _: payload.update({"edoc:PrimaryCode": "500002"})),  # unmapped_local_code
        Wrong(lambda payload, _: payload.update({"edoc:CaseParticipantType": "Bisidder"})),  # party_malformed
        Wrong(lambda payload, _: payload.update({"edoc:TimeStamp": "i går"})),  # schema_violation
    ),
)
