"""GetOrganized's case as its metadata show it, in the vendor's words. Pure; knows nothing of the canonical event.

The attributes of a `z:row`; each is called `ows_` and the name here. What is not named here is dropped at the door.
"""

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict

from connectors.payload import Payload
from connectors.times import MaybeTime, Time


def _blank_is_none(value: object) -> object:
    """An attribute without a value is written as an empty one."""
    return None if value == "" else value


MaybeText = Annotated[str | None, BeforeValidator(_blank_is_none)]
# Local time without a zone, `2025-02-25 14:56:05`: Danish, and in the hour that comes twice the first.
MaybeLocal = Annotated[MaybeTime, BeforeValidator(_blank_is_none)]


class _Row(Payload):
    model_config = ConfigDict(alias_generator=lambda name: f"ows_{name}")


class Case(_Row):
    """One case. CCMParentCase is left out: the index knows no hierarchy of cases."""

    CaseID: str
    Title: str
    CaseStatus: str
    LastModifiedDate: Time
    KLENummer: MaybeText = None
    Facet: MaybeText = None
    CaseCategory: MaybeText = None
    Modtaget: MaybeLocal = None
    Created: MaybeLocal = None
    Lukket: MaybeLocal = None
    CCMContactData: MaybeText = None
    CCMContactData_CPR: MaybeText = None
    CaseOwner: MaybeText = None
    SupplerendeSagsbehandlere: MaybeText = None
    Afdeling: MaybeText = None


class Document(_Row):
    """A document's metadata, where they have been laid in."""

    DocID: str
    Title: str
    Dato: Time


class ShownDocument(Payload):
    """A document beside the case."""

    Metadata: Document


class Shown(Payload):
    """Which fields are read at all: the case with what stands beside it, once its XML has been read."""

    Metadata: Case
    Documents: tuple[ShownDocument, ...] = ()
