"""A vendor of whose own interface nothing is published speaks the gateway's shape, with a configuration of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from broker.domain.case import CaseEvent
from broker.domain.outcome import Rejected
from broker.intake.connector import Connector, Source
from connectors import inexpressible
from connectors.standards.klgateway.bundle import split
from connectors.standards.klgateway.translate import translate
from connectors.standards.klgateway.unread import unknown

MEDIA_TYPES: Final = ("application/fhir+json", "application/json")
SETTINGS: Final = {
    "sor": "SOR code of an organisation -> CVR number of its authority; required",
    "kle": 'local or national code, or "system|code" -> {"kle", "facet"}; where there is no row: local code',
    "local_codes": "code systems of the municipality's own codes (level 3), besides KL's",
    "identifiers": "number system -> CPR or ECPR, besides the national ones",
    "states": "CarePlan.status -> state",
    "security_labels": '"system|code" -> sensitivity',
}
CANNOT: Final = {
    inexpressible.RETIRED_KLE: inexpressible.KLE_FROM_CONFIGURATION,
    inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
    inexpressible.NO_PRIMARY_PARTY: inexpressible.ALWAYS_A_CITIZEN,
    inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
    inexpressible.SEVERAL_PARTIES: inexpressible.ONLY_THE_CITIZEN,
}


def speaking(name: str, product: str, defaults: Mapping[str, Any]) -> Connector:
    """The connector of such a vendor.

    Args:
        product: as people call it.
        defaults: what holds where a municipality's configuration says nothing; tables are laid over row by row.
    """

    def theirs(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
        return translate(payload, replace(source, config=over(defaults, source.config)))

    notes = f"""\
Known: nothing. {product} has no public interface, no published payload and no published push; what this connector
speaks is the standards' shape, not the vendor's.
Care: KL Gateway FHIR bundles to POST /v1/events/{name}, as `connector show klgateway` says, with the settings below.
Cases: SF1470 to POST /sf1470/v6, as system {name}: the token, or the certificate, names it; so does the agreement.
Assumed: every default in its mapping.py. To be settled with the supplier before production: which of the two it
sends, its code systems, what stands in meta.lastUpdated.
Auth: a bearer token of the vendor role for system {name}."""
    return Connector(
        name, "eoj", MEDIA_TYPES, split, theirs, notes=notes, settings=SETTINGS, unknown=unknown, cannot=CANNOT
    )


def over(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A municipality's configuration over the defaults: tables row by row, lists together, the rest as it is."""
    merged = {**defaults, **own}
    for name in defaults.keys() & own.keys():
        first, second = defaults[name], own[name]
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            merged[name] = {**first, **second}
        elif isinstance(first, list | tuple) and isinstance(second, list | tuple):
            merged[name] = [*first, *second]
    return merged
