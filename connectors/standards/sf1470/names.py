"""The standard's own names: namespaces, services, operations. Facts of SF1470 v6, but for what is marked. Data only."""

from dataclasses import dataclass
from typing import Final

SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
HEADER: Final = "http://kombit.dk/xml/schemas/RequestHeader/1/"

NAMESPACES: Final = {
    "sd": "urn:oio:sagdok:3.0.0",
    "gd": "urn:oio:sts:generelledefinitioner:6",
    "go": "urn:oio:sts:generelleoperationer:6",
    "sag": "urn:oio:sts:sagdok:sag:6",
    "si": "urn:oio:sts:sagdok:sagindeks:6",
    "di": "urn:oio:sts:sagdok:dokumentindeks:6",
    "sdi": "urn:oio:sts:sagdok:sagdokumentindeks:6",
    "header": HEADER,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """asked, answered: the element of the request and of the answer, with its prefix."""

    name: str
    title: str
    action: str
    asked: str
    answered: str


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the WSDL with its one port."""

    name: str
    port: str
    binding: str
    operations: tuple[Operation, ...]


def _of_both(name: str) -> Operation:
    title = name.capitalize()
    action = f"http://kombit.dk/sts/sagdokumentindeks/{name}"
    element = f"sdi:{title}SagDokumentIndeks"
    return Operation(name, title, action, f"{element}Input", f"{element}Output")


SERVICES: Final = (
    Service(
        "SagDokumentIndeksService_6",
        "SagDokumentIndeks",
        "sdi",
        (_of_both("fjern"), _of_both("importer"), _of_both("opdater"), _of_both("fremsoeg")),
    ),
    # Its elements are the standard's; no WSDL of it is public, so service, port and action are named by analogy [-].
    Service(
        "SagIndeksService_6",
        "SagIndeks",
        "si",
        (Operation("kasser", "Kasser", "http://kombit.dk/sts/sagindeks/kasser", "si:KasserInput", "si:KasserOutput"),),
    ),
)
OPERATIONS: Final = {operation.name: operation for service in SERVICES for operation in service.operations}


def qualified(name: str) -> str:
    """`prefix:name` as the library writes it."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"
