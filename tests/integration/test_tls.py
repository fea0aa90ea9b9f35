"""Everything over TLS: Kafka with certificates and passwords, PostgreSQL, and the API with senders' certificates."""

import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from broker import certificates
from broker.cli.setup import prepare
from broker.security import Issuer
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.clients import confluent_options, refusal
from broker.stream.topics import OVERVIEWS
from ops.bench.faults import agree, folded
from ops.embedded import kafka as embedded_kafka
from ops.embedded.part import Part
from ops.embedded.ports import free_port
from ops.supervisor import Service, Supervisor
from tests.conftest import fresh_database
from tests.integration.certifying import Authority, behind_tls, thumbprint
from tests.integration.running import AUTHORITY, event

USER, PASSWORD, OTHER = "sagsbro", "hemmeligt", "forkert"
MODULES = "org.apache.kafka.common.security"
LISTENERS = """
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SASL_SSL://localhost:{sasl},SSL://localhost:{tls}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},SASL_SSL://localhost:{sasl},SSL://localhost:{tls}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
controller.quorum.voters=1@127.0.0.1:{controller}
inter.broker.listener.name=PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={ca}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={modules}.plain.PlainLoginModule required user_{user}="{password}";
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={modules}.scram.ScramLoginModule required;
"""
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Secured:
    """Kafka's addresses, and the files that open them."""

    plain: str
    sasl: str
    tls: str
    ca: Authority
    client: Path
    password: Path

    def settings(self, kafka: str, **security: str) -> Settings:
        return Settings(kafka=kafka, kafka_security={"ssl_cafile": str(self.ca.file), **security})

    def by_password(self, mechanism: str, **more: str) -> Settings:
        said_so = {"sasl_mechanism": mechanism, "sasl_plain_username": USER, "sasl_plain_password": PASSWORD}
        return self.settings(self.sasl, security_protocol="SASL_SSL", **{**said_so, **more})

    def by_certificate(self, **more: str) -> Settings:
        files = {"ssl_certfile": str(self.client), "ssl_keyfile": str(self.client)}
        return self.settings(self.tls, security_protocol="SSL", **{**files, **more})


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("secured")
    ca = Authority(folder / "ca")
    ports = {name: free_port() for name in ("plain", "controller", "sasl", "tls")}
    lines = LISTENERS.format(
        **ports, server=ca.sign("kafka"), ca=ca.file, user=USER, password=PASSWORD, modules=MODULES
    )
    kafka = embedded_kafka.start(folder / "kafka", ports["plain"], more=lines)
    try:
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        wanted = [UserScramCredentialUpsertion(USER, scram, PASSWORD.encode())]
        admin = AdminClient({"bootstrap.servers": kafka.address})
        for done in admin.alter_user_scram_credentials(wanted).values():
            done.result()
        password = folder / "password"
        password.write_text(f"{PASSWORD}\n")
        sasl, tls = (f"localhost:{ports[name]}" for name in ("sasl", "tls"))
        yield Secured(kafka.address, sasl, tls, ca, ca.sign("client"), password)
    finally:
        kafka.stop()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_password_opens_kafka_over_tls_whether_said_or_in_a_file(secured: Secured, mechanism: str) -> None:
    assert refusal(secured.by_password(mechanism)) is None
    in_a_file = secured.by_password(mechanism)
    in_a_file.kafka_security["sasl_plain_password_file"] = str(secured.password)
    del in_a_file.kafka_security["sasl_plain_password"]
    assert AdminClient(confluent_options(in_a_file)).list_topics(timeout=20).brokers


def test_a_certificate_opens_kafka_over_tls(secured: Secured) -> None:
    assert AdminClient(confluent_options(secured.by_certificate())).list_topics(timeout=20).brokers


def test_what_kafka_refuses_is_said_with_the_name_of_the_setting(secured: Secured, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "stranger")
    foreign = str(stranger.sign("client"))
    refused = {
        "sasl_plain_password": secured.by_password("SCRAM-SHA-512", sasl_plain_password=OTHER),
        "sasl_plain_username": secured.by_password("PLAIN", sasl_plain_username=OTHER),
        "ssl_cafile": secured.by_password("PLAIN", ssl_cafile=str(stranger.file)),
        "ssl_certfile": secured.by_certificate(ssl_certfile=foreign, ssl_keyfile=foreign),
        "security_protocol is PLAINTEXT": Settings(kafka=secured.tls),
        "ssl.ca.location": secured.by_password("PLAIN", ssl_cafile=str(tmp_path / "none.pem")),
        "kafka_security.sasl_plain_password_file": secured.settings(
            secured.sasl, security_protocol="SASL_SSL", sasl_plain_password_file=str(tmp_path / "none")
        ),
    }
    said_so = {name: str(refusal(settings)) for name, settings in refused.items()}
    assert [name for name, why in said_so.items() if name not in why] == []
    assert not [why for why in said_so.values() if PASSWORD in why or OTHER in why]


def test_who_is_away_refuses_nothing() -> None:
    assert refusal(Settings(kafka=f"127.0.0.1:{free_port()}"), 1.0) is None


@dataclass
class Whole:
    """Where the API is, and what every process was told."""

    url: str
    environment: dict[str, str]
    ca: Authority
    known: Path

    @property
    def settings(self) -> Settings:
        """What the processes have read from it."""
        return Settings(
            kafka=self.environment["SAGSBRO_KAFKA"],
            kafka_security=json.loads(self.environment["SAGSBRO_KAFKA_SECURITY"]),
            database=SecretStr(Path(self.environment["SAGSBRO_DATABASE_FILE"]).read_text().strip()),
        )

    def http(self, client: Path | None = None) -> httpx.Client:
        context = ssl.create_default_context(cafile=self.ca.file)
        if client is not None:
            context.load_cert_chain(client)
        return httpx.Client(base_url=self.url, verify=context, timeout=20, trust_env=False)


@pytest.fixture(scope="module")
def whole(secured: Secured, postgres: Part, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """API, worker and publisher, each with TLS in every direction, and no secret but in files."""
    port, known, folder = free_port(), secured.ca.sign("sender"), tmp_path_factory.mktemp("whole")
    with behind_tls(postgres.port, secured.ca.sign("postgres")) as encrypted, fresh_database(postgres) as database:
        parts = urlsplit(database)
        address = parts._replace(netloc=f"{parts.username}:{parts.password}@localhost:{encrypted}").geturl()
        url = folder / "database"
        url.write_text(f"{address}?sslmode=verify-full&sslrootcert={secured.ca.file}\n")
        security = secured.by_password("SCRAM-SHA-512").kafka_security
        del security["sasl_plain_password"]
        certificate = secured.ca.sign("api")
        environment = {
            "SAGSBRO_KAFKA": secured.sasl,
            "SAGSBRO_KAFKA_SECURITY": json.dumps({**security, "sasl_plain_password_file": str(secured.password)}),
            "SAGSBRO_DATABASE_FILE": str(url),
            "SAGSBRO_API_PORT": str(port),
            "SAGSBRO_API_CERTIFICATE": str(certificate),
            "SAGSBRO_API_CLIENT_CA": str(secured.ca.file),
            "SAGSBRO_CERTIFICATES": json.dumps(
                {"senders": {thumbprint(known): {"system": "sbsys", "authorities": [AUTHORITY]}}}
            ),
        }
        made = Whole(f"https://localhost:{port}", environment, secured.ca, known)
        settings = made.settings
        prepare(settings)
        agree(settings)
        supervisor = Supervisor(folder)
        for name in ("api", "worker", "publisher"):
            supervisor.start(Service(name, (sys.executable, "-m", "broker.cli", name), environment))
        try:
            yield made
        finally:
            supervisor.stop_all()


def until(holds: Any) -> None:
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not holds():
        assert time.monotonic() < deadline
        pause.wait(0.2)


def is_up(http: httpx.Client) -> bool:
    try:
        return http.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def called(http: httpx.Client, headers: Mapping[str, str] | None = None) -> int:
    """How the index service answers what is no SOAP."""
    return http.post("/sf1470/v6", content=b"<a/>", headers={"Content-Type": "text/xml", **(headers or {})}).status_code


def test_an_event_gets_from_its_sender_to_the_topic_and_to_a_reader_over_tls_alone(whole: Whole) -> None:
    settings = whole.settings
    issuer = Issuer(settings)

    def bearer(**claims: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {issuer.issue({'sub': 'test', **claims}, 600)}"}

    with whole.http() as http:
        until(lambda: is_up(http))
        sender = bearer(role="vendor", system="sbsys", authorities=[AUTHORITY])
        taken = http.post("/v1/case-events", json=[event()], headers=sender)
        assert (taken.status_code, taken.json()["accepted"]) == (202, 1)
        receipt = f"/v1/receipts/{taken.json()['receipt_id']}"
        until(lambda: http.get(receipt, headers=sender).json()["events"][0]["status"] == "indexed")
        scope = {"authority": AUTHORITY, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
        asked = {"user_key": "S-1", "purpose": "Sagsbehandling"}
        found = http.post("/v1/overviews/sapa/search", json=asked, headers=bearer(role="employee", scopes=[scope]))
        assert [entry["case_id"] for entry in found.json()["entries"]] == [event()["case_id"]]
        until(lambda: any(folded(settings, OVERVIEWS["sapa"].name).values()))


def test_a_sender_is_known_by_their_certificate_and_nobody_else_by_theirs(whole: Whole, tmp_path: Path) -> None:
    with whole.http() as http:
        until(lambda: is_up(http))
        assert called(http) == 401
    with whole.http(whole.ca.sign("another")) as http:
        assert called(http) == 401
        # What a client says itself of a certificate counts for nothing.
        assert called(http, {"X-Thumbprint": thumbprint(whole.known)}) == 401
    with whole.http(whole.known) as http:
        # It is let in, and what it says is no SOAP.
        assert called(http) == 500
    foreign = Authority(tmp_path / "foreign").sign("sender")
    with whole.http(foreign) as http, pytest.raises(httpx.TransportError):
        called(http)
    with pytest.raises(httpx.TransportError):
        httpx.get(whole.url.replace("https", "http"), trust_env=False)


def test_a_database_that_cannot_be_trusted_or_speaks_plainly_is_not_used(
    secured: Secured, database: str, postgres: Part, tmp_path: Path
) -> None:
    with behind_tls(postgres.port, secured.ca.sign("postgres")) as encrypted:
        parts = urlsplit(database)
        address = parts._replace(netloc=f"{parts.username}:{parts.password}@localhost:{encrypted}").geturl()
        with connect(f"{address}?sslmode=verify-full&sslrootcert={secured.ca.file}", "test") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        stranger = Authority(tmp_path / "stranger").file
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            connect(f"{address}?sslmode=verify-full&sslrootcert={stranger}", "test")
        with pytest.raises(psycopg.OperationalError):
            connect(f"{address}?sslmode=disable", "test")
    with pytest.raises(psycopg.OperationalError, match="does not support SSL"):
        connect(f"{database}?sslmode=verify-full&sslrootcert={secured.ca.file}", "test")


def run(command: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    argv = (sys.executable, "-m", "broker.cli", command)
    return subprocess.run(
        argv, env={**os.environ, **environment}, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def test_a_worker_with_a_wrong_password_ends_and_says_which_setting_it_was(secured: Secured, database: str) -> None:
    prepare(Settings(kafka=secured.plain, database=SecretStr(database)))
    wrong = secured.by_password("SCRAM-SHA-512", sasl_plain_password=OTHER).kafka_security
    environment = {
        "SAGSBRO_KAFKA": secured.sasl, "SAGSBRO_KAFKA_SECURITY": json.dumps(wrong), "SAGSBRO_DATABASE": database,
    }  # fmt: skip
    ended = run("worker", environment)
    assert ended.returncode == 1
    assert "sasl_plain_password" in ended.stderr
    assert OTHER not in ended.stderr


def test_a_secret_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = run("api", {"SAGSBRO_DATABASE_FILE": str(tmp_path / "none")})
    assert ended.returncode == 1
    assert "sagsbro_database_file" in ended.stderr


def test_the_end_of_every_certificate_in_use_is_watched(secured: Secured) -> None:
    settings = secured.by_certificate().model_copy(
        update={
            "database": SecretStr("postgresql://h/d?sslmode=verify-full&sslrootcert=/r.pem"),
            "api_certificate": Path("/a.pem"),
            "api_client_ca": Path("/c.pem"),
        }
    )
    assert certificates.files(settings) == {
        "kafka_ca": secured.ca.file,
        "kafka_client": secured.client,
        "database_ca": Path("/r.pem"),
        "api": Path("/a.pem"),
        "api_client_ca": Path("/c.pem"),
    }
    assert certificates.files(Settings(database=SecretStr("postgresql://h/d?sslrootcert=system"))) == {}
