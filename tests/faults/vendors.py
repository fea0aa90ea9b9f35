"""Every system that is polled, as a whole instance meets it: real paths, cases, and what must come to stand of them.

`truth` is reckoned from what was saved, never from what was sent or translated.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import httpx
from fastapi import FastAPI

from connectors.eoj.nexus import simulator as nexus
from connectors.esdh.acadre import simulator as acadre
from connectors.esdh.edoc import simulator as edoc
from connectors.esdh.getorganized import simulator as getorganized
from connectors.esdh.nova import simulator as nova
from connectors.esdh.sbsys import simulator as sbsys
from connectors.esdh.workpoint import simulator as workpoint
from connectors.esdh.workpoint.receiver import receiver
from connectors.times import COPENHAGEN

SKEW: Final = timedelta(hours=-3)
"""How far every vendor's clock is from ours."""
KLE: Final = "27.36.04"
PAGE: Final = 4
_CREATED: Final = "2024-03-18T09:00:00+01:00"
_HEADER: Final = "SagId;IndsatsId;BorgerCPR;IndsatsStartDato;IndsatsStatus;IndsatsParagraf;LeverandørIndsats"
_NTLM: Final = {"user": "TEST\\demo", "password": "s3cret", "per_second": 1000, "page": PAGE}
_OAUTH: Final = {"client_id": "demo", "client_secret": "s3cret", "per_second": 1000}


def now() -> datetime:
    """What the vendors' clocks say; they know whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + SKEW


class Case(NamedTuple):
    """What a caseworker saved, and when."""

    number: int
    title: str
    at: datetime

    @property
    def cpr(self) -> str:
        return f"0101455{self.number:03}"

    @property
    def letter(self) -> str:
        return f"Brev om {self.title}"

    @property
    def local(self) -> datetime:
        return self.at.astimezone(COPENHAGEN).replace(tzinfo=None)


class Line(NamedTuple):
    """What must stand in the index of one case; `changed` in microseconds since 1970, UTC."""

    user_key: str
    title: str
    changed: int | None
    kle: str
    citizen: str
    letters: tuple[str, ...]


class Vendor(ABC):
    """One system with its simulator, which comes up anew for each test."""

    system: ClassVar[str]
    sender: ClassVar[dict[str, Any]] = {}
    """What the broker is told of this sender."""
    tells_when: ClassVar[bool] = True
    """Whether it says when a case changed."""
    tells_of_letters: ClassVar[bool] = False
    """Whether its documents are read; there is one on each case."""

    def __init__(self, path: Path) -> None:
        """`path`: a directory of its own."""
        self.path = path
        self.newest: dict[int, Case] = {}

    @property
    @abstractmethod
    def app(self) -> Any: ...

    @abstractmethod
    def config(self, url: str) -> dict[str, Any]:
        """The table `vendor` of the configuration file."""

    @abstractmethod
    def show(self, cases: Sequence[Case]) -> None:
        """They stand there now, under the numbers that they have."""

    @abstractmethod
    def user_key(self, number: int) -> str: ...

    async def save(self, *cases: Case) -> None:
        """A caseworker saves them, new or changed."""
        self.newest |= {case.number: case for case in cases}
        self.show(cases)

    @property
    def truth(self) -> list[Line]:
        """Each case, once, as it was saved last."""
        return sorted(
            Line(
                self.user_key(case.number),
                case.title,
                self.when(case),
                KLE,
                f"CPR:{case.cpr}",
                (case.letter,) if self.tells_of_letters else (),
            )
            for case in self.newest.values()
        )

    def when(self, case: Case) -> int | None:
        """Microseconds since 1970, UTC."""
        return int(case.at.timestamp()) * 1_000_000 if self.tells_when else None


class Sbsys(Vendor):
    system = "sbsys"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = sbsys.Simulator([], uses_of_a_token=7)

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        return {**_OAUTH, "url": url, "token_path": "connect/token", "page": PAGE}

    def user_key(self, number: int) -> str:
        return f"{KLE}-G01-{number}-24"

    def show(self, cases: Sequence[Case]) -> None:
        rows = {row["Id"]: row for row in self.simulator.cases} | {case.number: self._row(case) for case in cases}
        self.simulator.cases = list(rows.values())

    def _row(self, case: Case) -> dict[str, Any]:
        return {
            "Id": case.number,
            "SagIdentity": f"00000000-0000-4000-8000-{case.number:012}",
            "Nummer": self.user_key(case.number),
            "SagsTitel": case.title,
            "SagsStatus": {"Navn": "Aktiv"},
            "Oprettet": _CREATED,
            "SenestAendret": case.at.isoformat(),
            "PrimaryPart": {"PartType": "Person", "CPRnummer": f"{case.cpr[:6]}-{case.cpr[6:]}"},
            "Firmaer": [],
        }


class Nova(Vendor):
    system = "nova"
    tells_of_letters = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = nova.Simulator([], repeats=2, uses_of_a_token=5)

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        token = f"{url}/realms/NovaIntegration/protocol/openid-connect/token"
        return {**_OAUTH, "url": url, "token_url": token, "rows": PAGE}

    def user_key(self, number: int) -> str:
        return f"S2024-{number}"

    def show(self, cases: Sequence[Case]) -> None:
        rows = {row["common"]["uuid"]: row for row in self.simulator.cases}
        self.simulator.cases = list((rows | {row["common"]["uuid"]: row for row in map(self._row, cases)}).values())

    def _row(self, case: Case) -> dict[str, Any]:
        party = {"identificationType": "CprNummer", "identification": case.cpr, "participantRole": "Primær"}
        return {
            "common": {"uuid": f"00000000-0000-4000-8000-{case.number:012}"},
            "caseAttributes": {
                "title": case.title,
                "userFriendlyCaseNumber": self.user_key(case.number),
                "caseDate": _CREATED,
                "updateDate": case.at.isoformat(),
            },
            "state": {"progressState": "Opstaaet", "fromDate": _CREATED},
            "sensitivity": {"sensitivity": "Fortrolige"},
            "caseClassification": {"kleNumber": {"code": KLE}, "proceedingFacet": {"code": "G01"}},
            "caseParties": [party],
            "documents": [{"documentUuid": f"d{case.number}", "title": case.letter, "documentDate": _CREATED}],
        }


class Acadre(Vendor):
    system = "acadre"
    tells_of_letters = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = acadre.Simulator([], repeats=2, uses_of_a_cookie=3, user="demo")

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        return {**_NTLM, "url": url, "acting_for": "abc01"}

    def user_key(self, number: int) -> str:
        return f"24/{number}"

    def show(self, cases: Sequence[Case]) -> None:
        rows = {row["Id"]: row for row in self.simulator.cases} | {case.number: self._row(case) for case in cases}
        self.simulator.cases = list(rows.values())
        for case in cases:
            self.simulator.contacts[_guid(case)] = {
                "@type": "PersonType3",
                "GUID": _guid(case),
                "PersonCivilRegistrationIdentifier": case.cpr,
                "PersonNameForAddressingName": "Alma Testborg",
            }

    def _row(self, case: Case) -> dict[str, Any]:
        kle = {"Category": [{"Principle": "KL Koder", "Literal": KLE}]}
        return {
            "Id": case.number,
            "LastChangedDate": case.at.isoformat(),
            "DocumentOutput": [
                {
                    "Document": {"DocumentIdentifier": "1", "DocumentTitleText": case.letter},
                    "Record": {"RegistrationDate": "2024-03-18", "AccessCode": "KK"},
                }
            ],
            "CaseFile": {
                "CaseFileIdentifier": str(case.number),
                "CreationDate": "2024-03-18",
                "CaseFileTitleText": case.title,
                "TitleUnofficialIndicator": "false",
                "CaseFileNumberIdentifier": self.user_key(case.number),
                "CaseFileStatusCode": "B",
                "CaseFileTypeCode": "BGSAG",
                "AccessCode": "BO",
                "Classification": kle,
                "Party": [{"ContactReference": _guid(case), "CreationDate": "2024-03-18", "IsPrimary": "true"}],
            },
        }


def _guid(case: Case) -> str:
    return f"0B9F6A58-3F0E-4D57-8F35-{case.number:012}"


class Edoc(Vendor):
    system = "edoc"
    tells_of_letters = True
    sender: ClassVar[dict[str, Any]] = {"primary_codes": {"500002": f"{KLE} Personlig hjælp"}}

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = edoc.Simulator([], largest=6, now=now)

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        return {**_NTLM, "url": url, "user_identifier": "www.example/abc", "documents": True}

    def user_key(self, number: int) -> str:
        return f"2024-{number}"

    def show(self, cases: Sequence[Case]) -> None:
        rows = {row["CaseFileIdentifier"]: row for row in self.simulator.cases}
        rows |= {row["CaseFileIdentifier"]: row for row in map(self._row, cases)}
        self.simulator.cases = list(rows.values())

    def _row(self, case: Case) -> dict[str, Any]:
        participant = {"CaseParticipantType": "Primær part", "PersonCivilRegistrationIdentifier": case.cpr}
        return {
            "CaseFileIdentifier": str(200_000 + case.number),
            "SequenceNumber": self.user_key(case.number),
            "TitleText": case.title,
            "TimeStamp": case.local.isoformat(),
            "CreationDate": "2024-03-18T09:00:00",
            "PrimaryCode": "500002",
            "CaseFileStatusCode": "B",
            "CaseFileParticipants": {"CaseFileParticipant": [participant]},
            "Documents": {"Document": [{"DocumentIdentifier": str(case.number), "TitleText": case.letter}]},
        }


class GetOrganized(Vendor):
    system = "getorganized"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = getorganized.Simulator([], now=now)

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        return {**_NTLM, "url": url}

    def user_key(self, number: int) -> str:
        return f"EMN-2024-{number:06}"

    def show(self, cases: Sequence[Case]) -> None:
        rows = {row["ows_CaseID"]: row for row in self.simulator.cases}
        rows |= {self.user_key(case.number): self._row(case) for case in cases}
        # Each stands there twice: a page that comes again.
        self.simulator.cases = [*rows.values(), *rows.values()]

    def _row(self, case: Case) -> dict[str, str]:
        return {
            "ows_CaseID": self.user_key(case.number),
            "ows_Title": case.title,
            "ows_CaseStatus": "Åben",
            "ows_KLENummer": f"318;#{KLE} Personlig og praktisk hjælp",
            "ows_Modtaget": "2024-03-18 09:00:00",
            "ows_LastModifiedDate": case.local.isoformat(sep=" "),
            "ows_CCMContactData": f"Alma Testborg;#17;#{case.cpr};#;#",
        }


class WorkPoint(Vendor):
    system = "workpoint"
    sender: ClassVar[dict[str, Any]] = {
        "modules": {
            workpoint.MODULE: {"columns": {"kle": "wpKLE", "number": "wpNo", "parties": [
                {"role": "PRIMARY", "number": "wpCPR", "name": "wpCitizen"}]}}
        }
    }  # fmt: skip

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = workpoint.Simulator({}, uses_of_a_token=5)
        (path / "queue").mkdir()

    @property
    def app(self) -> Any:
        return self.simulator.app

    async def save(self, *cases: Case) -> None:
        """Webhooks tell of it, each of which comes twice."""
        await super().save(*cases)
        hook = receiver({"queue": self.path / "queue", "secrets": [workpoint.SECRET]}).app
        async with httpx.AsyncClient(transport=httpx.ASGITransport(hook), base_url="https://hook.example") as client:
            for case in cases:
                body, headers = workpoint.webhook(("EntityUpdated", case.number), ("StageChanged", case.number))
                for _ in range(2):
                    (await client.post("/", content=body, headers=headers)).raise_for_status()

    def config(self, url: str) -> dict[str, Any]:
        return {
            **_OAUTH,
            "client_secret": "secret",
            "url": url,
            "token_url": f"{url}/tenant/oauth2/v2.0/token",
            "tenant": "t",
            "scope": "s",
            "queue": str(self.path / "queue"),
            "page": PAGE,
        }

    def user_key(self, number: int) -> str:
        return f"WP-{number}"

    def show(self, cases: Sequence[Case]) -> None:
        self.simulator.items |= {case.number: self._columns(case) for case in cases}

    def _columns(self, case: Case) -> dict[str, Any]:
        return {
            "Title": case.title,
            "Created": _CREATED,
            "Modified": case.at.isoformat(),
            "wpStage": "Opstået",
            "wpNo": self.user_key(case.number),
            "wpKLE": KLE,
            "wpCPR": case.cpr,
        }


class Nexus(Vendor):
    """A grant is a case, and so is the pathway that it stands in; only grants are followed here."""

    system = "nexus"
    sender: ClassVar[dict[str, Any]] = {"kle": {"Serviceloven § 83": {"kle": KLE, "facet": "G01"}}}
    tells_when = False

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.simulator = nexus.Simulator([], doubled_items=True, uses_of_a_token=20)

    @property
    def app(self) -> Any:
        return self.simulator.app

    def config(self, url: str) -> dict[str, Any]:
        return {
            **_OAUTH,
            "instance": nexus.INSTANCE,
            "root": f"{url}{nexus.ROOT}/",
            "token_url": f"{url}{nexus.TOKEN}",
            "batch": PAGE,
            "pathways": False,
        }

    def user_key(self, number: int) -> str:
        return f"I{number}"

    def show(self, cases: Sequence[Case]) -> None:
        known = {citizen["id"]: citizen for citizen in self.simulator.citizens}
        versions = {number: citizen["grants"][str(number)]["version"] for number, citizen in known.items()}
        known |= {case.number: self._citizen(case, versions.get(case.number, 0) + 1) for case in cases}
        self.simulator.citizens = list(known.values())

    def _citizen(self, case: Case, version: int) -> dict[str, Any]:
        grant = {
            "name": case.title,
            "identifier": {"patientGrantId": case.number},
            "version": version,
            "workflowState": {"name": "Bestilt"},
            "currentElements": [
                {"type": "workflowApprovedDate", "date": "2024-03-04T09:30:00.000+0000"},
                {"type": "paragraph", "paragraph": {"name": "Serviceloven", "section": "§ 83"}},
            ],
        }
        pathway = {
            "type": "patientPathwayReference",
            "id": None,
            "version": 0,
            "name": "Forløb",
            "pathwayStatus": "ACTIVE",
            "patientPathwayId": case.number,
            "date": "2024-03-18T11:53:12.000+0000",
            "children": [nexus.grant_node(case.number, case.title, "Bestilt")],
        }
        return {
            "id": case.number,
            "number": case.cpr,
            "tree": [pathway],
            "grants": {str(case.number): grant},
            "conditions": [],
        }


class Sensum(Vendor):
    """No server: files in a folder, the later ones with rows of the earlier ones among them."""

    system = "sensum"
    sender: ClassVar[dict[str, Any]] = {"kle": {"SEL § 85": {"kle": KLE}}}

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        (path / "in").mkdir()
        self.dropped = 0

    @property
    def app(self) -> Any:
        return FastAPI(openapi_url=None)

    def config(self, url: str) -> dict[str, Any]:
        del url
        return {"folder": str(self.path / "in"), "settle": 0, "rows": PAGE}

    def user_key(self, number: int) -> str:
        return f"{number}/1"

    def show(self, cases: Sequence[Case]) -> None:
        """One file for each moment; each row twice, and beside it, unfinished, a file that is still being copied."""
        for at in sorted({case.at for case in cases}):
            rows = [self._row(case) for case in cases if case.at == at]
            self.dropped += 1
            text = "\r\n".join([_HEADER, *rows, *rows, ""])
            unfinished = self.path / "in" / f"{self.dropped}.csv.part"
            unfinished.write_text(text, encoding="utf-8")
            os.utime(unfinished, (at.timestamp(), at.timestamp()))
            unfinished.rename(self.path / "in" / f"{self.dropped}.csv")

    def _row(self, case: Case) -> str:
        return f"{case.number};1;{case.cpr[:6]}-{case.cpr[6:]};18-03-2024;Godkendt;SEL § 85;{case.title}"


VENDORS: Final[tuple[type[Vendor], ...]] = (Sbsys, Acadre, Nova, Edoc, GetOrganized, WorkPoint, Nexus, Sensum)
