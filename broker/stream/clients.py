"""How Kafka is reached: one set of settings, in the words of both client libraries.

No I/O but reading certificates.
"""

from collections.abc import Mapping
from typing import Any, Final

from aiokafka.helpers import create_ssl_context

from broker.settings import Settings

# What may stand in `kafka_security`, and confluent-kafka's word for it; aiokafka's words are ours.
SECURITY: Final[Mapping[str, str]] = {
    "security_protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_plain_username": "sasl.username",
    "sasl_plain_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
}
_TLS: Final = "ssl_"


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of every aiokafka client. Raises ValueError naming an unknown security setting."""
    security = _security(settings)
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka}
    options |= {name: value for name, value in security.items() if not name.startswith(_TLS)}
    if security.get("security_protocol", "PLAINTEXT").endswith("SSL"):
        files = {name.removeprefix(_TLS): value for name, value in security.items() if name.startswith(_TLS)}
        options["ssl_context"] = create_ssl_context(**files)
    return options


def confluent_options(settings: Settings) -> dict[str, Any]:
    """The configuration of every confluent-kafka client. Raises ValueError naming an unknown security setting."""
    return {
        "bootstrap.servers": settings.kafka,
        **{SECURITY[name]: value for name, value in _security(settings).items()},
    }


def _security(settings: Settings) -> dict[str, str]:
    if unknown := sorted(set(settings.kafka_security) - set(SECURITY)):
        raise ValueError(f"no such setting in kafka_security: {', '.join(unknown)}")
    return dict(settings.kafka_security)
