"""SF1470's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code or guidance, [I] inferred from it, [-] nothing found, assumed.
"""

from typing import Final, NamedTuple

STATES: Final = {  # [R] the standard's own four
    "Opstaaet": "OPSTAAET",
    "Oplyst": "OPLYST",
    "Afgjort": "AFGJORT",
    "Afsluttet": "AFSLUTTET",
}
IMPORTED: Final = "Importeret"  # [R] the only life-cycle code that a sender may use
NO_DOCUMENT: Final = "urn:empty"  # [R] what a note refers to, in lower case
UNTITLED: Final = "Dokument"  # what a document is called until its own event, or the journal, says it

# Rolle (UUID) -> role. Those of the samples [R]; the others are not public: config `roles` must name them.
ROLES: Final = {
    "9e979b84-b846-4472-8622-58007dc63c7e": "Ejer",  # [R]
    "a1263342-d348-44ba-a566-233f37c4cb67": "Ansvarlig",  # [R]
    "bf1f93ed-9441-4af4-835b-baeb201f3076": "PrimaerBehandler",  # [R]
    "d839f26a-d4d1-4441-b2d6-3dbbb12a9404": "PrimaerPart",  # [R]
    "a86c6581-ec85-412d-a655-31a1f1d5b14f": "PrimaerKlasse",  # [R]
    "05ef7011-11a7-4e4c-a46b-3de6aa457fc3": "Handlingsklasse",  # [R]
    "251c24fd-57b0-4afc-9d73-b063d1957eb3": "Master",  # [R]
    "1b3c6a6d-e977-4491-9bf8-b41ee6999f39": "Afsender",  # [R]
}


class Role(NamedTuple):
    """What the standard says of relations in a role [R].

    of: the relation it belongs to. many: several at once, told apart by Indeks. needed: a case is never without.
    """

    of: str
    many: bool = False
    needed: bool = False


RULES: Final = {
    "Ejer": Role("Sagsaktoer", needed=True),
    "Ansvarlig": Role("Sagsaktoer", needed=True),
    "PrimaerBehandler": Role("Sagsaktoer"),
    "AndreBehandlere": Role("Sagsaktoer", many=True),
    "UdlaantTil": Role("Sagsaktoer"),
    "Bopaelskommune": Role("Sagsaktoer"),
    "PrimaerPart": Role("Sagspart"),
    "SekundaerPart": Role("Sagspart", many=True),
    "Ydelsesmodtager": Role("Sagspart"),
    "PrimaerKlasse": Role("Sagsklasse", needed=True),
    "Handlingsklasse": Role("Sagsklasse", needed=True),
    "Opgaveklasse": Role("Sagsklasse"),
    "Kontoklasse": Role("Sagsklasse"),
    "Sikkerhedsklasse": Role("Sagsklasse"),
    "Foelsomhedsklasse": Role("Sagsklasse"),  # not the level of access, whatever its name says
    "Indsatsklasse": Role("Sagsklasse"),
    "Ydelsesklasse": Role("Sagsklasse"),
    "Kontroltemaklasse": Role("Sagsklasse", many=True),
    "Visningsklasse": Role("Sagsklasse", many=True),
    "Afgoerelsesklasse": Role("Sagsklasse"),
    "Tilakteret": Role("Journalpost", many=True),
    "Vedlagt": Role("Journalpost", many=True),
    "Journalnotat": Role("Journalpost", many=True),
    "Master": Role("SagsitsystemRelation", needed=True),
    "Afsender": Role("SagsitsystemRelation", needed=True),
    "Adgang": Role("Sikkerhedsprofil", many=True),
}
# Which are read where an opdater says nothing of the others: roles of the index [I].
ACTORS: Final = {
    "Ansvarlig": "RESPONSIBLE",
    "PrimaerBehandler": "PRIMARY_HANDLER",
    "AndreBehandlere": "HANDLER",
    "UdlaantTil": "LENT_TO",
}
PARTIES: Final = {"PrimaerPart": "PRIMARY", "SekundaerPart": "SECONDARY", "Ydelsesmodtager": "BENEFIT_RECIPIENT"}
JOURNAL: Final = {"Tilakteret": "DOCUMENT", "Vedlagt": "DOCUMENT", "Journalnotat": "NOTE"}

# Virkning/AktoerTypeKode [R]: the last two stand in data from before February 2020 and are good there.
ACTOR_TYPES: Final = frozenset({"Bruger", "ItSystem"})
OLD_ACTOR_TYPES: Final = frozenset({"Organisation", "OrganisationEnhed"})
OLD_UNTIL: Final = 1_580_511_600_000_000  # 2020-02-01 in Denmark, microseconds since 1970, UTC

# Dokument: Egenskaber/Type [R].
LETTER_IN: Final = "Brev, indgaaende"
DOCUMENT_TYPES: Final = frozenset(
    {
        "Faktura",
        LETTER_IN,
        "Brev, udgaaende",
        "Brev",
        "Internt Notat",
        "Eksternt Notat",
        "Rapport",
        "Dagsorden",
        "Plan",
        "Andet",
    }
)
