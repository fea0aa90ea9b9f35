"""The groups of the canonical event out of what a registration says. Pure; for what `obligations` found no flaw in.

With `whole` a group is all there is (an import); without, it is what has changed, relation by relation, and a relation
that is over is removed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.domain.case import SENSITIVITY, ItemGroup
from broker.domain.identity import has_cpr, is_uuid, without_cpr
from broker.domain.outcome import Code, Rejected
from connectors.configuration import table
from connectors.person import item_id
from connectors.standards.sf1470 import effect, mapping, obligations, relations, urn
from connectors.standards.sf1470.payloads import EgenskaberType, ListerType
from connectors.standards.sf1470.relations import Held


@dataclass(frozen=True, slots=True)
class Said:
    """A registration, where it stands in the payload, and when it was made."""

    lists: ListerType
    at: str
    on: int
    config: Mapping[str, Any]
    roles: relations.Roles
    _held: dict[str, list[Held]] = field(default_factory=dict)

    def held(self, kind: str) -> list[Held]:
        """The relations of one kind."""
        if kind not in self._held:
            self._held[kind] = relations.held(self.lists, kind, self.at, self.roles, self.on)
        return self._held[kind]

    def standing(self, role: str) -> Held | None:
        """The one relation of that role."""
        found = (one for one in self.held(mapping.RULES[role].of) if one.role == role and not one.ended)
        return next(found, None)


def properties(said: Said, before: Mapping[str, Any]) -> dict[str, Any]:
    """Over what stood before."""
    made: dict[str, Any] = {**before}
    own = _own(said)
    if own is not None:
        hidden = own.OffentlighedUndtaget
        made["user_key"] = own.BrugervendtNoegle
        made["title"] = own.Titel
        made["confidential_title"] = None if hidden is None else hidden.TitelAlternativTekst
        made["legal_basis"] = own.HjemmelSpecifikation
    for _, one in obligations.added(said.lists, said.at):
        if not effect.period(one.Virkning).ended(said.on):
            made["local_status"] = one.Sagsstatus or made.get("local_status")
            made["created_at"] = one.OprettetTidspunkt or made.get("created_at")
    decisions = [one for one in said.held("Sagsklasse") if one.role == "Afgoerelsesklasse"]
    for decision in decisions:
        named = decision.extension
        made["decision"] = None if decision.ended else named.Klassetitel or named.BrugervendtNoegle
    return made


def _own(said: Said) -> EgenskaberType | None:
    listed = [one for _, one in obligations.attributes(said.lists, said.at)]
    index = effect.in_force([effect.period(one.Virkning) for one in listed], said.on)
    return None if index is None else listed[index]


def begun(said: Said) -> int | None:
    """When the case arose: the beginning of its first state."""
    listed = [one for _, one in obligations.states(said.lists, said.at) if one.FremdriftStatusKode == "Opstaaet"]
    return min((effect.period(one.Virkning).since for one in listed), default=None)


def access(said: Said, before: Mapping[str, Any]) -> dict[str, Any]:
    """The highest level that holds; hidden from the citizen by any class of display that is not said to be open.

    A change can hide a case but not show it: what other classes it has is not said there.
    """
    levels = [
        one.Foelsomhed
        for _, one in obligations.added(said.lists, said.at)
        if one.Foelsomhed is not None and not effect.period(one.Virkning).ended(said.on)
    ]
    level = max(levels, key=SENSITIVITY.__getitem__, default=before.get("sensitivity"))
    hides = any(
        one.role == "Visningsklasse" and not one.ended and _hides(one, said.config) for one in said.held("Sagsklasse")
    )
    return {"sensitivity": level, "hidden_from_citizen": hides or bool(before.get("hidden_from_citizen"))}


def _hides(display: Held, config: Mapping[str, Any]) -> bool:
    own = table(config, "display_classes")
    return not any(own.get(name) is False for name in (display.reference, display.extension.BrugervendtNoegle))


def classification(said: Said, before: Mapping[str, Any]) -> dict[str, Any]:
    """Subject and facet."""
    made = {**before}
    for name, role in (("kle", "PrimaerKlasse"), ("facet", "Handlingsklasse")):
        if (found := said.standing(role)) is not None:
            made[name] = found.extension.BrugervendtNoegle
    return made


def progress(said: Said, *, whole: bool) -> ItemGroup:
    """States with when they hold."""
    items: list[dict[str, Any]] = []
    for _, one in obligations.states(said.lists, said.at):
        since, until = effect.period(one.Virkning)
        state = mapping.STATES[one.FremdriftStatusKode or ""]
        items.append({"state": state, "effective_from": since, "effective_to": until})
    return {"complete": whole, "items": items}


def parties(said: Said, *, whole: bool) -> ItemGroup | Rejected:
    """Persons, organisations, and the property that a case is about."""
    items: list[dict[str, Any]] = []
    for one in said.held("Sagspart"):
        role = mapping.PARTIES[one.role]
        if one.ended:
            items.extend(_gone({"item_id": one.item_id, "role": role, "id_type": "FREE", "id": "-"}, whole=whole))
            continue
        party = urn.party_of(one.reference)
        if party is None:
            code = Code.PARTY_UNKNOWN_TYPE if is_uuid(one.reference) else Code.PARTY_MALFORMED
            return Rejected(code, f"{one.at}/ReferenceID", "a URN with a number of its form")
        if party is urn.NOBODY:
            items.extend(_gone({"item_id": one.item_id, "role": role, "id_type": "FREE", "id": "-"}, whole=whole))
            continue
        items.append(_party(one.item_id, role, party, one.extension.FuldtNavn, one.period))
    for where, relation in relations.listed(said.lists, "Sagsgenstande", said.at):
        del where
        found = urn.property_of(relations.reference(relation) or "")
        period = effect.period(relation.Virkning)
        if found is not None:
            role = "" if relation.Rolle is None else relation.Rolle.value or ""
            item = _party(item_id("SF1470", role, relation.Indeks or ""), "SECONDARY", found, None, period)
            items.extend(_gone(item, whole=whole) if period.ended(said.on) else [item])
    return {"complete": whole, "items": _once(items)}


def _party(item: str, role: str, party: urn.Party, name: str | None, period: effect.Period) -> dict[str, Any]:
    return {
        "item_id": item,
        "role": role,
        "id_type": party.id_type,
        "id": party.id,
        "name": name,
        "effective_from": period.since,
        "effective_to": period.until,
    }


def actors(said: Said, *, whole: bool) -> ItemGroup:
    """Whoever handles the case; the owner is its authority."""
    items: list[dict[str, Any]] = []
    for one in said.held("Sagsaktoer"):
        role = mapping.ACTORS.get(one.role)
        # A URN can be made of anything.
        named = is_uuid(one.reference) or not has_cpr(one.reference)
        if role is None:
            continue
        item = {"item_id": one.item_id, "role": role, "id": one.reference if named else "-"}
        if one.ended or not named:
            items.extend(_gone(item, whole=whole))
            continue
        name = one.extension.FuldtNavn
        items.append({**item, "name": None if name is None else without_cpr(name), "authority": one.extension.CVR})
    return {"complete": whole, "items": items}


def journal(said: Said, *, whole: bool) -> ItemGroup:
    """Notes, and documents by their number: what one is called, and its level, its own events say in the index."""
    items: list[dict[str, Any]] = []
    for one in said.held("Journalpost"):
        kind = mapping.JOURNAL[one.role]
        item: dict[str, Any] = {
            "item_id": one.item_id,
            "kind": kind,
            "title": "",
            "registered_at": one.period.since,
        }
        if one.ended:
            items.extend(_gone(item, whole=whole))
            continue
        own = one.relation.JournalpostEgenskaber
        if kind == "NOTE":
            note = None if own is None else own.JournalnotatEgenskaber
            item["title"] = "" if note is None else note.Titel or ""
        else:
            item["title"] = (None if own is None else own.Dokumenttitel) or mapping.UNTITLED
            item["document_id"] = one.reference
        items.append(item)
    return {"complete": whole, "items": items}


def security_profile(said: Said, *, whole: bool) -> ItemGroup:
    """Whoever may see the case besides being allowed to."""
    items: list[dict[str, Any]] = []
    for one in said.held("Sikkerhedsprofil"):
        item = {"item_id": one.item_id, "principal_id": one.reference}
        items.extend(_gone(item, whole=whole) if one.ended else [item])
    return {"complete": whole, "items": items}


def _gone(item: dict[str, Any], *, whole: bool) -> Iterator[dict[str, Any]]:
    """In a whole group what is over is just not there."""
    if not whole:
        yield {**item, "removed": True}


def _once(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({item["item_id"]: item for item in items}.values())
