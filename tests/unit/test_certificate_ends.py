"""Ends of certificates: of whatever the settings name, as the file is now, and never a reason for no metrics."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings, strategies
from pydantic import SecretStr, ValidationError

from broker.certificates import end, files, watch
from broker.cli import main
from broker.metrics import TOLD_BY, Process, registry
from broker.settings import Settings

BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)
KEY: Final = Ed25519PrivateKey.generate()
NAME: Final = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sagsbro")])


def pem(*days: int) -> bytes:
    """Certificates that end so many days after the beginning."""
    made = x509.CertificateBuilder().issuer_name(NAME).subject_name(NAME).public_key(KEY.public_key())
    made = made.serial_number(1).not_valid_before(BEGINNING)
    ending = [made.not_valid_after(BEGINNING + timedelta(days=one)).sign(KEY, None) for one in days]
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in ending)


def at(days: int) -> float:
    return (BEGINNING + timedelta(days=days)).timestamp()


@settings(max_examples=25)
@given(days=strategies.lists(strategies.integers(1, 9999), min_size=1, max_size=4))
def test_a_chain_ends_with_its_first_and_what_is_trusted_with_its_last(tmp_path: Path, days: list[int]) -> None:
    path = tmp_path / "some.pem"
    path.write_bytes(pem(*days))
    assert end(path, bundle=False) == at(min(days))
    assert end(path, bundle=True) == at(max(days))


def test_what_cannot_be_read_ended_in_1970(tmp_path: Path) -> None:
    assert end(tmp_path / "none.pem", bundle=False) == 0
    for number, content in enumerate((b"", b"rubbish", pem(1)[:-40])):
        path = tmp_path / f"{number}.pem"
        path.write_bytes(content)
        assert end(path, bundle=True) == 0


def test_every_file_that_the_settings_name_is_watched() -> None:
    named = Settings(
        kafka_security={"ssl_cafile": "/k/ca", "ssl_certfile": "/k/own", "ssl_keyfile": "/k"},
        database=SecretStr("postgresql://u:p@h/d?sslmode=verify-full&sslrootcert=/d/ca&sslcert=/d/own"),
        certificate_files={"proxy": Path("/p")},
    )
    assert {name: str(path) for name, path in files(named).items()} == {
        "kafka_ca": "/k/ca", "kafka_client": "/k/own",
        "database_ca": "/d/ca", "database_client": "/d/own", "proxy": "/p",
    }  # fmt: skip
    assert files(Settings(database=SecretStr("postgresql://h/d?sslrootcert=system"))) == {}


def test_a_name_that_is_no_label_is_refused() -> None:
    with pytest.raises(ValidationError):
        Settings(certificate_files={"Proxy of Ærø": Path("/p")})


def test_each_process_tells_the_end_of_the_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "own.pem"
    path.write_bytes(pem(10))
    watch(Settings(certificate_files={"renewed": path}))
    assert [told(process) for process in TOLD_BY] == [at(10)] * 3
    path.write_bytes(pem(400))
    assert [told(process) for process in TOLD_BY] == [at(400)] * 3


def told(process: Process) -> float | None:
    return registry(process).get_sample_value("sagsbro_certificate_end_timestamp_seconds", {"certificate": "renewed"})


def test_the_command_names_them_and_says_when_one_is_near(tmp_path: Path) -> None:
    good, ended = tmp_path / "good.pem", tmp_path / "ended.pem"
    good.write_bytes(pem(36500))
    ended.write_bytes(pem(10))
    said = {"SAGSBRO_CERTIFICATE_FILES": json.dumps({"good": str(good)})}
    all_well = CliRunner().invoke(main, ["certificates", "--data", str(tmp_path), "--json"], env=said)
    assert (all_well.exit_code, json.loads(all_well.stdout)["ends"]) == (0, "2119-12-08T00:00:00.000000Z")
    said = {"SAGSBRO_CERTIFICATE_FILES": json.dumps({"good": str(good), "ended": str(ended)})}
    near = CliRunner().invoke(main, ["certificates", "--data", str(tmp_path)], env=said)
    assert (near.exit_code, f"ended: {ended} ends 2020-01-11" in near.stdout) == (3, True)
