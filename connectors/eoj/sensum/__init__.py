"""Sensum (EG), whose extract files are dropped in a folder."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.eoj.sensum.folder import poller
from connectors.eoj.sensum.payloads import Row
from connectors.eoj.sensum.table import split
from connectors.eoj.sensum.translate import translate
from connectors.payload import unknown_fields

NOTES = """\
Known [read in public code]: names of columns in extracts (SagNavn, SagType, Status, AfdelingNavn, MedarbejderFornavn,
MedarbejderEfternavn, IndsatsStartDato, IndsatsSlutDato, IndsatsStatus, IndsatsParagraf, LeverandørIndsats,
LeverandørNavn, YdelseNavn), dates with the day first, one status ("Godkendt"), delivery as files.
Not public: any interface, ids, the citizen's number, when a row was changed. So SagId, IndsatsId and BorgerCPR are
columns that we ask for, and the time of a file is the time of registration of its rows.
Auth: none of Sensum's; whoever may write in the folder. A row is an intervention, and an intervention is a case."""

CONNECTOR = Connector(
    "sensum",
    "eoj",
    ("application/json", "text/csv"),
    split,
    translate,
    notes=NOTES,
    settings={
        "columns": "our name of a column -> what it is called in the municipality's extract",
        "kle": 'paragraph as it is written -> {"kle", "facet"}; where there is no row: local code',
        "states": "IndsatsStatus, else Status -> state",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, Row),
    cannot={
        inexpressible.REMOVAL: inexpressible.NEVER_SAYS_GONE,
        inexpressible.RETIRED_KLE: inexpressible.KLE_FROM_CONFIGURATION,
        inexpressible.STRICTER_DOCUMENT: inexpressible.ONE_LEVEL,
        inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
        inexpressible.SEVERAL_PARTIES: inexpressible.ONLY_THE_CITIZEN,
    },
)
