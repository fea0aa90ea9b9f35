"""One set of Kafka settings in the words of two libraries."""

from pathlib import Path

import pytest

from broker.settings import Settings
from broker.stream.clients import aiokafka_options, confluent_options

SASL = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_plain_username": "u",
    "sasl_plain_password": "p",
}


def test_security_is_said_in_both_libraries_words() -> None:
    settings = Settings(kafka="a:1,b:2", kafka_security=SASL)
    assert aiokafka_options(settings) == {"bootstrap_servers": "a:1,b:2", **SASL}
    assert confluent_options(settings) == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "p",
    }


def test_tls_becomes_a_context_for_aiokafka() -> None:
    options = aiokafka_options(Settings(kafka_security={"security_protocol": "SSL"}))
    assert options["ssl_context"].check_hostname


def test_a_misspelt_setting_is_named() -> None:
    with pytest.raises(ValueError, match="ssl_ca"):
        confluent_options(Settings(kafka_security={"ssl_ca": "x"}))


def test_a_password_may_stand_in_a_file_and_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p\n")
    in_a_file = {**SASL, "sasl_plain_password_file": str(file)}
    del in_a_file["sasl_plain_password"]
    assert confluent_options(Settings(kafka_security=in_a_file)) == confluent_options(Settings(kafka_security=SASL))
    file.unlink()
    with pytest.raises(ValueError, match=r"kafka_security\.sasl_plain_password_file"):
        aiokafka_options(Settings(kafka_security=in_a_file))


def test_every_setting_may_stand_in_a_file_and_its_own_name_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "said"
    file.write_text('{"security_protocol": "SSL"}\n')
    address = tmp_path / "address"
    address.write_text("a:1\n")
    monkeypatch.setenv("SAGSBRO_KAFKA_SECURITY_FILE", str(file))
    monkeypatch.setenv("SAGSBRO_KAFKA_FILE", str(address))
    assert (Settings().kafka_security, Settings().kafka) == ({"security_protocol": "SSL"}, "a:1")
    monkeypatch.setenv("SAGSBRO_KAFKA", "b:2")
    assert Settings().kafka == "b:2"
