"""What the drill breaks: a whole Sagsbro with a load, one citizen who consents, a disk and a certificate."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.security import Issuer
from broker.settings import Settings
from ops.bench.filled import AUTHORITIES
from ops.bench.purge import LONG_AGO, Citizen
from ops.drill.load import Load
from ops.embedded.instance import Instance
from ops.embedded.ports import HOST, free_port
from ops.supervisor import Service
from ops.tools import started

CITIZEN: Final = Citizen(0)
CASES: Final = 5
MEMBER: Final = "member-0"
SIZE: Final = 100_000_000_000
PLENTY: Final = 0.5
GOOD_DAYS: Final = 300
TTL_S: Final = 6 * 3600
_DISK: Final = 'node_filesystem_{what}{{device="drill",fstype="ext4",mountpoint="/drill"}} {value:.0f}\n'


class Site:
    """The ways to reach what is broken."""

    def __init__(self, running: Instance, settings: Settings, certificate: Path) -> None:
        self.running, self.settings, self.certificate = running, settings, certificate
        self.supervisor = running.supervisor
        self.load = Load(settings)
        self.textfiles = running.plan.data / "textfiles"
        self.textfiles.mkdir()
        self.disk(PLENTY)
        self.node = f"{HOST}:{free_port()}"
        self._issuer = Issuer(settings)

    def start(self) -> None:
        """A node exporter that tells the drill's disk, the load, and a consent in force."""
        flags = (
            "--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={self.textfiles}",
            f"--web.listen-address={self.node}",
        )  # fmt: skip
        log = self.running.plan.data / "node-exporter.log"
        self.supervisor.start(Service("node-exporter", (*started("prometheus-node-exporter"), *flags), log=log))
        self.load.start()
        self.load.cases(CITIZEN, CASES)
        effort = {
            "effort_id": CITIZEN.effort, "citizen": CITIZEN.cpr, "authority": AUTHORITIES[0], "coordinator": MEMBER,
            "members": [], "valid_from": LONG_AGO, "registered_at": LONG_AGO,
        }  # fmt: skip
        self._as_register("/v1/efforts", effort)
        self._as_register("/v1/consents", CITIZEN.consent())

    def withdraw(self) -> None:
        """The citizen's consent, once."""
        now = datetime.now(UTC).isoformat()
        self._as_register("/v1/consents", CITIZEN.consent(registered_at=now, withdrawn_at=now))

    def read(self) -> None:
        """One search, which is logged."""
        claims = {
            "sub": MEMBER, "role": "employee", "authorities": [AUTHORITIES[0]], "areas": ["15.2*"],
            "principal_ids": [MEMBER],
            "scopes": [{"authority": AUTHORITIES[0], "kle": ["N*"], "sensitivity": "VIP_SAGER"}],
        }  # fmt: skip
        search = {"citizen": CITIZEN.cpr, "effort_id": CITIZEN.effort, "purpose": "Øvelse"}
        self._post("/v1/overviews/hoi/search", claims, search)

    def disk(self, free: float) -> None:
        """What the node exporter tells: a disk with this share free."""
        told = {"size_bytes": SIZE, "avail_bytes": free * SIZE, "readonly": 0}
        text = "".join(_DISK.format(what=what, value=value) for what, value in told.items())
        written = self.textfiles / "disk.tmp"
        written.write_text(text)
        written.rename(self.textfiles / "disk.prom")

    def _as_register(self, path: str, body: Mapping[str, Any]) -> None:
        self._post(path, {"sub": "register", "role": "consent", "authorities": [AUTHORITIES[0]]}, body)

    def _post(self, path: str, claims: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        headers = {"Authorization": f"Bearer {self._issuer.issue(dict(claims), TTL_S)}"}
        with httpx.Client(base_url=self.settings.api_url, timeout=30, trust_env=False) as http:
            http.post(path, json=body, headers=headers).raise_for_status()


def certificate(path: Path, days: int) -> None:
    """One that ends in so many days, signed by itself."""
    key, now = Ed25519PrivateKey.generate(), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "drill")])
    made = x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(key.public_key())
    made = made.serial_number(uuid.uuid4().int >> 1).not_valid_before(now - timedelta(days=1))
    pem = made.not_valid_after(now + timedelta(days=days)).sign(key, None).public_bytes(serialization.Encoding.PEM)
    written = path.with_suffix(".new")
    written.write_bytes(pem)
    written.replace(path)
