"""Settings from the environment (`SAGSBRO_*`), `sagsbro.toml`, or the running instance under `--data`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

DEFAULT_DATA = Path(".sagsbro")
SEAL_KEY = "seal-key.pem"
"""Where an instance with embedded parts keeps the key that signs its log of reads."""


class CertificateSender(BaseModel):
    """Whoever holds one certificate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    authorities: list[str]


class Certificates(BaseModel):
    """Senders known by their client certificate, which a proxy checks.

    header: where the proxy puts the thumbprint, in hexadecimal; it must take away what a client put there itself.
    proxies: the addresses from which that header is believed, as the API sees them: `X-Forwarded-For` of a proxy on the
        same machine would put the client's in its place. senders: thumbprint -> who that is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: str
    proxies: list[str]
    senders: dict[str, CertificateSender]

    @field_validator("senders")
    @classmethod
    def _written_alike(cls, senders: dict[str, CertificateSender]) -> dict[str, CertificateSender]:
        return {thumbprint.replace(":", "").lower(): sender for thumbprint, sender in senders.items()}


class Settings(BaseSettings):
    """Where the parts are. `kafka` host:port list; `database` a PostgreSQL URL; `registry` a base URL.

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
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    jwks_url: str | None = None
    audience: str | None = None
    """What the outside issuer's tokens must be made out to; goes with `jwks_url`."""
    issuer: str = "sagsbro-development"
    connectors: dict[str, dict[str, Any]] = {}
    """What a connector is told of a sender: by `system`, and over it by `authority/system`."""
    certificates: Certificates | None = None
    """Who may call the SOAP service with a certificate in place of a token."""
    replication: int = 1
    consumer_group: str = "sagsbro-projector"
    stall_seconds: float = 30.0
    seal_key: Path | None = None
    """The Ed25519 key, in a PEM file, that signs the log of reads; out of reach of whoever owns the database."""
    seal_public_keys: list[str] = []
    """Keys whose signatures count beside the own one, base64: earlier ones; all of them where there is no own one."""
    cpr_registrars: list[str] = []
    """CVR numbers of the authorities whose consent tokens may join two numbers to one person; a topic always may."""
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
        """The command line first, then the environment, then the file."""
        del dotenv_settings
        return init_settings, env_settings, file_secret_settings, TomlConfigSettingsSource(settings_cls)

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
        return f"http://{self.api_host}:{self.api_port}"


def said(environment: Mapping[str, str]) -> Settings:
    """The settings that these variables would make, without touching this process's own."""
    prefix = "SAGSBRO_"
    named: dict[str, Any] = {
        name.removeprefix(prefix).lower(): value for name, value in environment.items() if name.startswith(prefix)
    }
    return Settings(**named)


def find(data: Path | None = None) -> Settings:
    """The settings of the instance running under `data`, if one is; else those of the environment.

    Without `data`, an instance or a demo of this directory is looked for.
    """
    for folder in (DEFAULT_DATA, DEFAULT_DATA / "demo") if data is None else (data,):
        try:
            return _of(json.loads((folder / "instance.json").read_text(encoding="utf-8")), folder / SEAL_KEY)
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
