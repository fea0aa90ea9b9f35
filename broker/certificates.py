"""Until when the certificates are good that this process was told of. Looks at the files at each scrape.

What a process holds may be older than the file: who renews one starts its processes anew.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from cryptography import x509
from psycopg.conninfo import conninfo_to_dict

from broker.metrics import CERTIFICATE_END
from broker.settings import Settings

BUNDLE: Final = "_ca"
"""How the names of those end that are trusted: such a file is good as long as one in it is."""
_OF_KAFKA: Final = {"kafka_ca": "ssl_cafile", "kafka_client": "ssl_certfile"}
_OF_DATABASE: Final = {"database_ca": "sslrootcert", "database_client": "sslcert"}
_NO_FILE: Final = "system"


def files(settings: Settings) -> Mapping[str, Path]:
    """Name -> PEM file: Kafka's, the database's, the API's, and those of `certificate_files`."""
    database = conninfo_to_dict(settings.dsn)
    named: dict[str, object] = {name: settings.kafka_security.get(option) for name, option in _OF_KAFKA.items()}
    named |= {name: database.get(option) for name, option in _OF_DATABASE.items()}
    named |= {"api": settings.api_certificate, "api_client_ca": settings.api_client_ca}
    found = {name: Path(str(path)) for name, path in named.items() if path and path != _NO_FILE}
    return {**found, **settings.certificate_files}


def watch(settings: Settings) -> None:
    """From now on this process tells the end of each."""
    for name, path in files(settings).items():
        CERTIFICATE_END.labels(name).set_function(partial(end, path, bundle=name.endswith(BUNDLE)))


def end(path: Path, *, bundle: bool) -> float:
    """Seconds since 1970: of a chain its first end, of a bundle its last; 0 for what cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return 0.0
    ends = [one.not_valid_after_utc.timestamp() for one in found]
    return max(ends) if bundle else min(ends)
