"""Settings from the environment (`SAGSBRO_*`), `sagsbro.toml`, or the running instance under `--data`."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, StringConstraints, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

DEFAULT_DATA = Path(".sagsbro")
RUNNING = "instance.json"
"""Stands in an instance's data directory for as long as it runs."""
OWN_ISSUER = "sagsbro-development"
SEAL_KEY = "seal-key.pem"
"""Where an instance with embedded parts keeps the key that signs its log of reads."""


class CertificateSender(BaseModel):
    """Whoever holds one certificate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    authorities: list[str]


class Certificates(BaseModel):
    """Senders known by their client certificate, which a proxy checks.

    Or the API itself, where it has `api_client_ca`: then header and proxies are not needed.

    header: where the proxy puts the thumbprint, in hexadecimal; it must take away what a client put there itself.
    proxies: the addresses from which that header is believed, as the API sees them: `X-Forwarded-For` of a proxy on the
        same machine would put the client's in its place. senders: thumbprint (SHA-1 or SHA-256) -> who that is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str | None = None
    proxies: list[str] = []
    senders: dict[str, CertificateSender]

    @field_validator("senders")
    @classmethod
    def _written_alike(cls, senders: dict[str, CertificateSender]) -> dict[str, CertificateSender]:
        return {thumbprint.replace(":", "").lower(): sender for thumbprint, sender in senders.items()}


def _address(url: str) -> str:
    try:
        there = urlsplit(url)
        host = (there.hostname or "").encode("idna")
    except ValueError:
        raise ValueError("no address that anything could be found at") from None
    if there.scheme not in ("http", "https") or not host:
        raise ValueError("an address begins with https:// and names a host")
    return url


class Webhook(BaseModel):
    """Where a vendor is told once a day what of its events was refused; `https`, and in the public network.

    secret: the environment variable that holds the key of the signature. authorities: whose events; None: all of the
    system. private: it may be an address of an own network, and `http`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)]
    secret: str
    authorities: list[str] | None = None
    private: bool = False


class FromFiles(EnvSettingsSource):
    """`SAGSBRO_<NAME>_FILE`: the setting is what stands in that file, as secrets are handed to containers."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        named = {name.lower(): path for name, path in os.environ.items() if path}
        files = {name.removesuffix("_file"): path for name, path in named.items() if name.endswith("_file")}
        mine = self.env_prefix.lower()
        return {name: read_secret(f"{name}_file", path) for name, path in files.items() if name.startswith(mine)}


def read_secret(setting: str, path: str) -> str:
    """What stands in the file, without the end of its last line. Raises ValueError naming the setting."""
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{setting}: the file cannot be read ({type(error).__name__})") from None


class Settings(BaseSettings):
    """Where the parts are. `kafka` host:port list; `database` a PostgreSQL URL; `registry` a base URL.

    Each may instead be named by a file that holds it: `SAGSBRO_DATABASE_FILE` for `SAGSBRO_DATABASE`.

    metrics_host, metrics_port: where a worker or a publisher serves `/metrics` and `/healthz`; 0: nowhere. Each
    process on a machine needs a port of its own. The API serves both on its own port.
    """

    model_config = SettingsConfigDict(env_prefix="SAGSBRO_", toml_file="sagsbro.toml", extra="ignore")

    kafka: str = "127.0.0.1:9092"
    kafka_security: dict[str, str] = {}
    database: SecretStr = SecretStr("postgresql://postgres@127.0.0.1:5432/postgres")
    registry: str = "http://127.0.0.1:8470/registry"
    api_host: str = "127.0.0.1"
    api_port: int = 8470
    api_certificate: Path | None = None
    """PEM, the chain that the API shows, with `api_certificate_key`: then it speaks TLS and nothing else."""
    api_certificate_key: Path | None = None
    api_client_ca: Path | None = None
    """PEM, who signs client certificates: senders in `certificates` are then known by their own."""
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    prometheus: SecretStr | None = None
    """The base address of a Prometheus, which the operations page asks for history and alerts; may hold a password."""
    jwks_url: str | None = None
    audience: str | None = None
    """What the outside issuer's tokens must be made out to; goes with `jwks_url`."""
    issuer: str = OWN_ISSUER
    connectors: dict[str, dict[str, Any]] = {}
    """What a connector is told of a sender: by `system`, and over it by `authority/system`."""
    certificates: Certificates | None = None
    """Who may call the SOAP service with a certificate in place of a token."""
    rejection_webhooks: dict[str, Webhook] = {}
    """Whom to tell of refused events once a day, by `system`."""
    certificate_files: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")], Path] = {}
    """Further certificates whose ends are told: name -> PEM file, as the proxy's own; `…_ca`: what is trusted."""
    replication: int = 1
    consumer_group: str = "sagsbro-projector"
    stall_seconds: float = 30.0
    seal_key: Path | None = None
    """The Ed25519 key, in a PEM file, that signs the log of reads; out of reach of whoever owns the database."""
    seal_public_keys: list[str] = []
    """Keys whose signatures count beside the own one, base64: earlier ones; all of them where there is no own one."""
    cpr_registrars: list[str] | None = None
    """CVR numbers of the authorities whose consent tokens may say what only the civil register knows
    (`Registration.national`); the topic always may. None: all with our own tokens, nobody with an outside issuer."""
    access_log_days: int = 1826
    """How long the log of reads is kept: five years."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The command line first, then the environment, then files named by it, then `sagsbro.toml`."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, FromFiles(settings_cls), TomlConfigSettingsSource(settings_cls)

    @property
    def dsn(self) -> str:
        """The database URL in the clear, for connecting."""
        return self.database.get_secret_value()

    def connector(self, authority: str, system: str) -> dict[str, Any]:
        """The configuration of one sender's connector."""
        return {**self.connectors.get(system, {}), **self.connectors.get(f"{authority}/{system}", {})}

    @property
    def api_url(self) -> str:
        """The base address of the HTTP API."""
        return f"http{'s' if self.api_certificate else ''}://{self.api_host}:{self.api_port}"


def said(environment: Mapping[str, str]) -> Settings:
    """The settings that these variables would make, without touching this process's own."""
    prefix = "SAGSBRO_"
    named: dict[str, Any] = {
        name.removeprefix(prefix).lower(): value for name, value in environment.items() if name.startswith(prefix)
    }
    return Settings(**named)


def is_running(data: Path | None = None) -> bool:
    """Whether an instance stands where `find` looks for one."""
    return any((folder / RUNNING).exists() for folder in _folders(data))


def _folders(data: Path | None) -> tuple[Path, ...]:
    return (DEFAULT_DATA, DEFAULT_DATA / "demo") if data is None else (data,)


def find(data: Path | None = None) -> Settings:
    """The settings of the instance running under `data`, if one is; else those of the environment.

    Without `data`, an instance or a demo of this directory is looked for.
    """
    for folder in _folders(data):
        try:
            return _of(json.loads((folder / RUNNING).read_text(encoding="utf-8")), folder / SEAL_KEY)
        except FileNotFoundError:
            continue
    return Settings()


def _of(running: dict[str, Any], seal_key: Path) -> Settings:
    named: dict[str, Any] = {"kafka": running["kafka"], "database": SecretStr(running["database"])}
    if seal_key.exists():
        named["seal_key"] = seal_key
    if running["api"] is not None:
        host, _, port = running["api"].removeprefix("http://").partition(":")
        named |= {"registry": running["registry"], "api_host": host, "api_port": int(port)}
    return Settings(**named)
