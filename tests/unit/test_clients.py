"""One set of Kafka settings in the words of two libraries."""

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
