"""SBSYS's case -> the canonical event. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import is_uuid
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors import event as canonical
from connectors.configuration import state_of
from connectors.esdh.sbsys import mapping
from connectors.esdh.sbsys.parties import parties
from connectors.esdh.sbsys.payloads import Sag, Sagsbehandler, SlettetSag
from connectors.payload import listed

_PARTIES: Final = frozenset({"PrimaryPart", "Personer", "Firmaer"})
# Seen in a real case: the first status is some milliseconds older than the case itself. Microseconds.
_STORED_AFTER_ITS_STATUS: Final = 60_000_000


def split(body: bytes) -> Sequence[object] | Rejected:
    """One case, or a list of them. Of a doubled key the last stands; depth is bounded by the parser."""
    return listed(body, "neither a case nor a list of cases")


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One case -> one event."""
    return canonical.translated(payload, lambda case, digest: _event(case, source, digest), _PARTIES)


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    if payload.get("Slettet") is True or payload.get("SlettetTidspunkt") is not None:
        return _removal(SlettetSag.model_validate(payload), source, digest)
    return _registration(Sag.model_validate(payload), source, digest)


def _removal(case: SlettetSag, source: Source, digest: str) -> CaseEvent | Rejected:
    at = case.SlettetTidspunkt if case.SlettetTidspunkt is not None else case.SenestAendret
    if at is None:
        return Rejected(Code.MANDATORY_MISSING, "/SlettetTidspunkt", "when it was deleted")
    event = _envelope(case.SagIdentity, at, source, digest, "REMOVED")
    if not isinstance(event, Rejected):
        event["removal_reason"] = mapping.REMOVAL_REASONS.get(case.SletteAarsag or "", mapping.REMOVAL_UNSAID)
    return event


def _registration(case: Sag, source: Source, digest: str) -> CaseEvent | Rejected:
    event = _envelope(case.SagIdentity, case.SenestAendret, source, digest, "REGISTERED")
    if isinstance(event, Rejected):
        return event
    created = case.Oprettet if case.Oprettet is not None else case.Opstaaet
    if created is None:
        return Rejected(Code.MANDATORY_MISSING, "/Oprettet", "when the case arose")
    progress = _progress(case, created, source.config)
    if isinstance(progress, Rejected):
        return progress
    people = parties(case)
    if isinstance(people, Rejected):
        return people
    profile = canonical.security_profile(case.SecuritySetId, source.config, "security_sets", "/SecuritySetId")
    if isinstance(profile, Rejected):
        return profile
    event["properties"] = _properties(case, created, source.config)
    event["access"] = {"sensitivity": _sensitivity(case, source.config), "hidden_from_citizen": False}
    event["classification"] = _classification(case)
    event["progress"] = progress
    event["parties"] = people
    event["actors"] = canonical.complete(_actors(case))
    if (journal := _journal(case)) is not None:
        event["journal"] = journal
    if profile is not None:
        event["security_profile"] = profile
    return event


def _envelope(identity: str, at: int, source: Source, digest: str, change: str) -> CaseEvent | Rejected:
    case_id = identity.lower()
    if not is_uuid(case_id):
        return Rejected(Code.SCHEMA_VIOLATION, "/SagIdentity", "a GUID")
    return canonical.envelope(source, case_id, at, digest, change)


def _properties(case: Sag, created: int, config: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "user_key": case.Nummer,
        "title": case.SagsTitel,
        "created_at": created,
        "local_status": case.SagsStatus.Navn,
    }
    template = config.get("link_template")
    if isinstance(template, str) and case.Id is not None:
        # Only keys without meaning go into a link: titles and numbers can hold a CPR number.
        properties["link"] = template.replace("{Id}", str(case.Id)).replace("{SagIdentity}", case.SagIdentity.lower())
    return properties


def _classification(case: Sag) -> dict[str, Any]:
    if case.SagsNummer is not None:
        facet = case.SagsNummer.Facet
        return {"kle": case.SagsNummer.EmneplanNummer.Nummer, "facet": None if facet is None else facet.Nummer}
    subject, _, rest = case.Nummer.partition("-")
    return {"kle": subject, "facet": rest.partition("-")[0] or None}


def _progress(case: Sag, created: int, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    """The payload knows the state of today only; OPSTAAET is known from when the case arose."""
    state = state_of(case.SagsStatus.Navn, config, mapping.STATES)
    if state is None:
        return Rejected(
            Code.STATE_UNKNOWN, "/SagsStatus/Navn", "no mapping of this status; put it in the configuration"
        )
    return canonical.progress(
        state, created, case.SenesteStatusAendring, "/SenesteStatusAendring", _STORED_AFTER_ITS_STATUS
    )


def _sensitivity(case: Sag, config: Mapping[str, Any]) -> str | None:
    """None is said aloud: an older, lower level must not outlive it."""
    if case.ErBeskyttet:
        return mapping.PROTECTED
    unprotected = case.ErBeskyttet is False and config.get("unprotected_is_confidential") is True
    return mapping.UNPROTECTED if unprotected else None


def _actors(case: Sag) -> Iterator[dict[str, Any]]:
    if case.Behandler is not None:
        yield from canonical.actor("PRIMARY_HANDLER", _handler_id(case.Behandler), case.Behandler.Navn)
    if (unit := case.Ansaettelsessted) is not None:
        yield from canonical.actor("RESPONSIBLE", unit.Uuid or ("" if unit.Id is None else str(unit.Id)), unit.Navn)


def _handler_id(handler: Sagsbehandler) -> str:
    return handler.Uuid or handler.LogonId or ""


def _journal(case: Sag) -> ItemGroup | None:
    """Complete only when both lists came; a case read without them says nothing of its journal."""
    if case.Dokumenter is None and case.JournalArkNoter is None:
        return None
    items = {
        f"{kind}:{number}": {"item_id": f"{kind}:{number}", "kind": kind, "title": title, "registered_at": at}
        for kind, number, title, at in (
            *(("DOCUMENT", one.Id, one.Navn, one.Oprettet) for one in case.Dokumenter or ()),
            *(("NOTE", one.Id, one.Overskrift, one.KontaktTidspunkt) for one in case.JournalArkNoter or ()),
        )
    }
    both = case.Dokumenter is not None and case.JournalArkNoter is not None
    return {"complete": both, "items": list(items.values())}
