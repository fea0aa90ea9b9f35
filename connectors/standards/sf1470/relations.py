"""The relations of a registration: their keys, what must stand in them, and which of them hold. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from broker.domain.outcome import Code, Rejected
from connectors.configuration import table
from connectors.person import item_id
from connectors.standards.sf1470 import effect, mapping
from connectors.standards.sf1470.effect import Period, missing
from connectors.standards.sf1470.payloads import ListerType, RelationType, RelationUdvidelserType, UdvidelseType

_EMPTY: Final = RelationType()
Roles = Mapping[str, str]


class Held(NamedTuple):
    """A relation by its key (kind, role, index), as it stands at the registration; `ended`: it no longer does."""

    at: str
    role: str
    relation: RelationType
    period: Period
    ended: bool

    @property
    def item_id(self) -> str:
        """The same for the same relation of the case, whatever it refers to."""
        return key(self.role, self.relation)

    @property
    def extension(self) -> UdvidelseType:
        """What describes the other end."""
        return extension(self.relation)

    @property
    def reference(self) -> str:
        """Its object."""
        return reference(self.relation) or ""


def key(role: str, relation: RelationType) -> str:
    """What makes a relation of a case the same one."""
    return item_id("SF1470", role, relation.Indeks or "")


def reference(relation: RelationType) -> str | None:
    """What it refers to."""
    return None if relation.ReferenceID is None else relation.ReferenceID.value


def extension(relation: RelationType) -> UdvidelseType:
    """What describes its object; empty when nothing does."""
    listed = relation.LokalUdvidelseListe
    if listed is None:
        return UdvidelseType()
    return (
        listed.SagsaktoerLokalUdvidelse
        or listed.SagsklasseLokalUdvidelse
        or listed.SagspartLokalUdvidelse
        or listed.DokumentaktoerLokalUdvidelse
        or listed.DokumentklasseLokalUdvidelse
        or UdvidelseType()
    )


def listed(lists: ListerType, kind: str, at: str) -> Iterator[tuple[str, RelationType]]:
    """The relations of one kind, each with its pointer."""
    found = lists.RelationListe
    if found is None:
        return
    at = f"{at}/RelationListe"
    said: Sequence[RelationType | None] = getattr(found, kind, None) or ()
    if kind in RelationUdvidelserType.model_fields:
        at = f"{at}/LokalUdvidelseListe"
        said = () if found.LokalUdvidelseListe is None else getattr(found.LokalUdvidelseListe, kind)
    for index, one in enumerate(said):
        yield f"{at}/{kind}/{index}", one or _EMPTY


def roles(config: Mapping[str, Any]) -> Roles:
    """Rolle -> role, as the configuration adds to it and overrides."""
    own = {str(number).lower(): role for number, role in table(config, "roles").items() if isinstance(role, str)}
    return {**mapping.ROLES, **own}


def named(relation: RelationType, known: Roles) -> str | None:
    """The role that its UUID names."""
    return known.get("" if relation.Rolle is None else (relation.Rolle.value or "").lower())


def role_of(relation: RelationType, kind: str, known: Roles) -> str | None:
    """The same, where it is one of this kind of relation."""
    role = named(relation, known)
    rule = mapping.RULES.get(role or "")
    return role if rule is not None and rule.of == kind else None


def held(lists: ListerType, kind: str, at: str, known: Roles, on: int) -> list[Held]:
    """Of each key the relation that counts at that time; of one all of whose periods are over, the last. No flaws."""
    by_key: dict[str, list[Held]] = {}
    for where, relation in listed(lists, kind, at):
        role = role_of(relation, kind, known) or ""
        period = effect.period(relation.Virkning)
        by_key.setdefault(key(role, relation), []).append(Held(where, role, relation, period, ended=period.ended(on)))
    return [_counting(alike, on) for alike in by_key.values()]


def _counting(alike: Sequence[Held], on: int) -> Held:
    index = effect.in_force([one.period for one in alike], on)
    return max(alike, key=lambda one: one.period.since) if index is None else alike[index]


def flaws(lists: ListerType, kind: str, at: str, known: Roles) -> Iterator[Rejected]:
    """What OB3, OB4 and OB5 ask of each relation of one kind, and that no two of one key hold at once."""
    periods: dict[str, list[tuple[str, Period]]] = {}
    for where, relation in listed(lists, kind, at):
        if relation.Rolle is None or relation.Rolle.value is None:
            yield missing(f"{where}/Rolle", "OB3")
        role = role_of(relation, kind, known)
        if role is None:
            # What an unknown role restricts is unknown too: closed is the safe mistake.
            yield Rejected(
                Code.SCHEMA_VIOLATION, f"{where}/Rolle", "no mapping of this role; put it in the configuration"
            )
            continue
        if relation.Type is None or relation.Type.value is None:
            yield missing(f"{where}/Type", "OB3")
        if reference(relation) is None:
            yield missing(f"{where}/ReferenceID", "OB3")
        if mapping.RULES[role].many and not relation.Indeks:
            yield missing(f"{where}/Indeks", "OB3")
        yield from _of_kind(relation, role, kind, where)
        yield from effect.flaws(relation.Virkning, where)
        periods.setdefault(key(role, relation), []).append((where, effect.period(relation.Virkning)))
    for alike in periods.values():
        yield from effect.overlap(alike)


def _of_kind(relation: RelationType, role: str, kind: str, at: str) -> Iterator[Rejected]:
    said = extension(relation)
    by_urn = relation.ReferenceID is not None and relation.ReferenceID.URNIdentifikator is not None
    for name, element, rule in _DESCRIBED.get(kind, ()):
        if getattr(said, name) is None and (rule != "OB4" or by_urn):
            yield missing(f"{at}/LokalUdvidelseListe/{kind}LokalUdvidelse/{element}", rule)
    if kind == "SagsitsystemRelation" and relation.SystemNavn is None:
        yield missing(f"{at}/SystemNavn", "OB1")
    if kind == "Sikkerhedsprofil" and by_urn:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/ReferenceID", "a UUID of the organisation system")
    if kind == "Journalpost":
        yield from _entry(relation, role, at)


# What must describe the other end, by kind of relation: field, element, rule. OB4: where it is named by a URN.
_DESCRIBED: Final = {
    "Sagsaktoer": (
        ("FuldtNavn", "FuldtNavn", "OB3"),
        ("CVR", "CVR-Nummer", "OB3"),
        ("BrugervendtNoegle", "BrugervendtNoegle", "OB4"),
    ),
    "Sagspart": (("FuldtNavn", "FuldtNavn", "OB3"),),
    "Sagsklasse": (
        ("BrugervendtNoegle", "BrugervendtNoegle", "OB3"),
        ("Facettitel", "Facettitel", "OB4"),
        ("Klassetitel", "Klassetitel", "OB4"),
    ),
}


def _entry(relation: RelationType, role: str, at: str) -> Iterator[Rejected]:
    """A note has a title, content and a format, or none of them; as an entry of its own it has all three."""
    within = f"{at}/JournalpostEgenskaber"
    said = relation.JournalpostEgenskaber
    note = None if said is None else said.JournalnotatEgenskaber
    if role == "Journalnotat":
        if (reference(relation) or "").lower() != mapping.NO_DOCUMENT:
            yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/ReferenceID", "URN:Empty: a note refers to no document")
    elif relation.ReferenceID is None or relation.ReferenceID.UUIDIdentifikator is None:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/ReferenceID", "the UUID of a document")
    parts = {name: None if note is None else getattr(note, name) for name in ("Titel", "Notat", "Format")}
    if role == "Journalnotat" or any(part is not None for part in parts.values()):
        rule = "OB3" if role == "Journalnotat" else "OB4"
        for name, part in parts.items():
            if part is None:
                yield missing(f"{within}/JournalnotatEgenskaber/{name}", rule)
    if said is not None and (hidden := said.OffentlighedUndtaget) is not None:
        yield from undisclosed(hidden.TitelAlternativTekst, hidden.OffentlighedUndtagetHjemmelTekst, within)


def undisclosed(title: str | None, ground: str | None, at: str) -> Iterator[Rejected]:
    """Both or neither."""
    at = f"{at}/OffentlighedUndtaget"
    if title is None and ground is not None:
        yield missing(f"{at}/TitelAlternativTekst", "OB4")
    if ground is None and title is not None:
        yield missing(f"{at}/OffentlighedUndtagetHjemmelTekst", "OB4")
