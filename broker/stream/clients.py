"""How Kafka is reached: one set of settings, in the words of both client libraries; and why it will not have them.

No I/O but reading certificates, and asking Kafka in `refusal`.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka.helpers import create_ssl_context
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from broker.settings import Settings, read_secret

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
_FROM_FILES: Final = ("sasl_plain_password", "ssl_password")
"""May be said as `<name>_file` too: where it stands."""


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


def refusal(settings: Settings, patience_s: float = 5.0) -> str | None:
    """What Kafka has against these settings, with the name of the setting; None: nothing, or no answer at all."""
    flaws: list[KafkaError] = []
    deadline = time.monotonic() + patience_s
    try:
        client = AdminClient({**confluent_options(settings), "error_cb": flaws.append, "log_level": 0})
    except (KafkaException, ValueError) as error:
        return str(error) if isinstance(error, ValueError) else _why(error.args[0])
    while time.monotonic() < deadline:
        try:
            client.list_topics(timeout=0.5)
        except KafkaException:
            client.poll(0)  # gives out what has gone wrong
        else:
            return None
        if (why := next((why for flaw in flaws if (why := _why(flaw)) is not None), None)) is not None:
            return why
    # It was reached, said nothing, and hung up: an address where nobody listens would have been named.
    if flaws and all(flaw.code() == KafkaError._ALL_BROKERS_DOWN for flaw in flaws):  # noqa: SLF001 - its own name
        protocol = settings.kafka_security.get("security_protocol", "PLAINTEXT")
        return f"kafka_security.security_protocol is {protocol}, and Kafka hangs up on that, or is just starting"
    return None


def _why(flaw: KafkaError) -> str | None:
    said = flaw.str()
    if flaw.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - the library's own name for it
        return f"kafka_security.sasl_plain_username, sasl_plain_password or sasl_mechanism is refused: {said}"
    if flaw.code() == KafkaError._SSL or "SSL routines" in said:  # noqa: SLF001 - as above
        return f"kafka_security.ssl_cafile, or ssl_certfile with ssl_keyfile, does not fit: {said}"
    if flaw.code() == KafkaError._INVALID_ARG:  # noqa: SLF001 - as above
        return f"kafka_security: {said}"
    return None


def _security(settings: Settings) -> dict[str, str]:
    said = dict(settings.kafka_security)
    for name in _FROM_FILES:
        if path := said.pop(f"{name}_file", None):
            said[name] = read_secret(f"kafka_security.{name}_file", path)
    if unknown := sorted(set(said) - set(SECURITY)):
        raise ValueError(f"no such setting in kafka_security: {', '.join(unknown)}")
    return said
