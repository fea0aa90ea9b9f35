"""A whole Sagsbro on this machine: the embedded parts, the services on them, and the words that say where they are.

`sagsbro up`, the demo and the fault tests are built on it.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from broker import sealing_key
from broker.settings import RUNNING, SEAL_KEY
from ops.embedded import kafka, lock, orphans, postgres, private
from ops.embedded.errors import EmbeddedError
from ops.embedded.part import READY_TIMEOUT, Part
from ops.embedded.ports import HOST, claim, free_port
from ops.supervisor import Service, Supervisor

_HTTP_OK = 200
_API_TRIES = 3
TARGETS = "targets.json"
"""In the data directory: what Prometheus is to ask, see `ops/prometheus/up.yml`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run; port 0 = a free one. `log`: where the services' lines go; None = this process's stderr."""

    data: Path
    api_port: int = 0
    kafka_port: int = 0
    postgres_port: int = 0
    workers: int = 1
    publishers: int = 1
    only_infrastructure: bool = False
    log: Path | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The first line on stdout, and `instance.json`."""

    api: str | None
    registry: str | None
    kafka: str
    database: str
    metrics: list[str]

    def json(self) -> str:
        """As the contract has it."""
        return json.dumps({"event": "ready", **asdict(self)})


@contextmanager
def held(plan: Plan, environment: Mapping[str, str]) -> Iterator["Instance"]:
    """Hold the data directory, end what a killed run left on it, and afterwards end everything, whatever happens."""
    with lock.held(plan.data):
        ended = orphans.end_orphans(plan.data)
        if ended:
            print(f"Ended what a killed run had left: {', '.join(ended)}", file=sys.stderr, flush=True)
        instance = Instance(plan, environment)
        try:
            yield instance
        finally:
            instance.stop()


class Instance:
    """The running parts and services; made by `held`."""

    def __init__(self, plan: Plan, environment: Mapping[str, str]) -> None:
        """`environment` may name an outside Kafka, database or registry, which replaces the embedded one."""
        self.plan = plan
        self.supervisor = Supervisor(plan.data)
        self.kafka: Part | None = None
        self.postgres: Part | None = None
        self.settings: dict[str, str] = {}
        self._given = environment
        self._metrics: dict[str, str] = {}

    def start(self, prepare: Callable[[Mapping[str, str]], None]) -> Ready:
        """Start everything in order; `prepare` gets the settings once both parts answer (migrations and topics)."""
        api_port = 0 if self.plan.only_infrastructure else claim(self.plan.api_port, "the API", "--api-port")
        self._start_parts()
        if self.plan.only_infrastructure:
            return self._announce(self._ready(None, []))
        api = f"http://{HOST}:{api_port}"
        self.settings |= {
            "SAGSBRO_API_HOST": HOST,
            "SAGSBRO_API_PORT": str(api_port),
            "SAGSBRO_REGISTRY": self._given.get("SAGSBRO_REGISTRY") or f"{api}/registry",
        }
        self._sealing()
        prepare(self.settings)
        self._start_services(api_port)
        return self._announce(self._ready(api, [f"{api}/metrics", *self._metrics.values()]))

    def stop(self) -> None:
        """End publishers, workers and the API together, then Kafka and PostgreSQL: ten seconds are promised."""
        parts = [part.name for part in (self.kafka, self.postgres) if part]
        services = [name for name in self.supervisor.names if name not in parts]
        self.supervisor.stop(*reversed(services))  # the API was started first
        self.supervisor.stop(*parts)
        for told in (RUNNING, TARGETS):
            (self.plan.data / told).unlink(missing_ok=True)

    def add(self, kind: str) -> str:
        """Start one more `worker` or `publisher`; returns its name."""
        name = f"{kind}-{1 + sum(known.startswith(f'{kind}-') for known in self._metrics)}"
        port = free_port()
        self._metrics[name] = f"http://{HOST}:{port}/metrics"
        self.supervisor.start(self._service(name, kind, {"SAGSBRO_METRICS_PORT": str(port)}))
        self._tell_prometheus()
        return name

    @property
    def metrics(self) -> list[str]:
        """Where each worker and publisher tells its own."""
        return list(self._metrics.values())

    def name_at(self, metrics: str) -> str:
        """Return the name of the service that tells its metrics there."""
        return next(name for name, url in self._metrics.items() if url == metrics)

    def _start_parts(self) -> None:
        """Let both boot at the same time."""
        data = self.plan.data
        outside_kafka, outside_database = self._given.get("SAGSBRO_KAFKA"), self._given.get("SAGSBRO_DATABASE")
        if not outside_kafka:
            self.kafka = kafka.launch(data, self.plan.kafka_port, self.supervisor)
        if not outside_database:
            self.postgres = postgres.launch(data, self.plan.postgres_port, self.supervisor)
            self.postgres = postgres.settled(self.postgres)
        if self.kafka:
            self.kafka = self.kafka.settled()
        self.settings["SAGSBRO_KAFKA"] = outside_kafka or _address(self.kafka)
        self.settings["SAGSBRO_DATABASE"] = outside_database or _address(self.postgres)

    def _sealing(self) -> None:
        """Say where the key of the log of reads is, which no part's own directory holds; made at the first start."""
        if not self._given.get("SAGSBRO_SEAL_KEY"):
            key = self.plan.data / SEAL_KEY
            sealing_key.make(key)
            self.settings["SAGSBRO_SEAL_KEY"] = str(key)

    def _start_services(self, api_port: int) -> None:
        self.supervisor.start(self._service("api", "api", {}))
        self._await_api(api_port)
        self._tell_prometheus()
        for _ in range(self.plan.workers):
            self.add("worker")
        for _ in range(self.plan.publishers):
            self.add("publisher")

    def _tell_prometheus(self) -> None:
        port = self.settings.get("SAGSBRO_API_PORT")
        api = {} if port is None else {"api": f"http://{HOST}:{port}/metrics"}
        private.write(self.plan.data / TARGETS, targets({**api, **self._metrics}))

    def _service(self, name: str, command: str, own: Mapping[str, str]) -> Service:
        argv = (sys.executable, "-m", "broker.cli", command)
        return Service(name, argv, {**self.settings, **own}, log=self.plan.log)

    def _await_api(self, port: int) -> None:
        deadline = time.monotonic() + READY_TIMEOUT
        pause = threading.Event()
        while not _is_ready(port):
            if self.supervisor.exits("api") >= _API_TRIES or time.monotonic() > deadline:
                message = f"the API did not get ready; its messages are {self._where_said}"
                raise EmbeddedError(message)
            pause.wait(0.1)

    @property
    def _where_said(self) -> str:
        return "above" if self.plan.log is None else f"in {self.plan.log}"

    def _ready(self, api: str | None, metrics: list[str]) -> Ready:
        found = self.settings
        return Ready(api, found.get("SAGSBRO_REGISTRY"), found["SAGSBRO_KAFKA"], found["SAGSBRO_DATABASE"], metrics)

    def _announce(self, ready: Ready) -> Ready:
        private.write(self.plan.data / RUNNING, ready.json())
        return ready


def targets(metrics: Mapping[str, str]) -> str:
    """What `file_sd_configs` of Prometheus reads, from service -> where it tells its metrics."""
    asked = ((name.split("-")[0], url.split("/")[2]) for name, url in metrics.items())
    return json.dumps([{"targets": [address], "labels": {"process": process}} for process, address in asked])


def _address(part: Part | None) -> str:
    if part is None:
        message = "neither an outside part nor an embedded one"
        raise EmbeddedError(message)
    return part.address


def _is_ready(port: int) -> bool:
    """Ask over a plain connection: no proxy from the environment may stand between."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
