"""Acadre (Formpipe), a case system that is polled."""

from broker.intake.connector import Connector
from connectors.esdh.acadre.client import poller
from connectors.esdh.acadre.payloads import Deleted, PwiCase, PwsCase
from connectors.esdh.acadre.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code and its schemas]: two services that show the same case, SOAP (PWS) and REST
(PWI); KLE and facet as two categories of one list; parties that refer to contacts; dates that are days; a child's case
whose title is the child's CPR number; access codes that are groups; lists in pages, and a search by SOAP that shows 100
at most; documents and notes of a case, each with its access code, by SOAP.
Assumed: the list's words for "changed between" and the time of the last change, that a new document or note changes it,
GetContact's element, REST's parties and classification, the message for a deleted case, what access codes mean.
connectors/README.md has the list.
Auth: a login address that is asked for, NTLM there, then a cookie; NTLM for SOAP, in the name of a user acted for."""

CONNECTOR = Connector(
    "acadre",
    "esdh",
    ("application/json", "application/xml", "text/xml"),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "states": "status literal -> state",
        "sensitivity": "access code -> level",
        "access_groups": "access code -> principal ids; one without a row is refused",
        "principles": "kle, facet: more names of those two principles",
        "child_case_types": "more types whose titles are a child's number",
        "parents": "more words for a parent among the parties",
        "alternative_title_is_public": "true: TitleAlternativeText may be shown",
        "link_template": "an address with {Id} in it",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, PwsCase, PwiCase, Deleted),
)
