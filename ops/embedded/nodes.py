"""Three real Kafka nodes on this machine, with the settings of `ops/compose.yaml`: what one node alone cannot show."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

from confluent_kafka.admin import AdminClient

from ops.embedded import kafka
from ops.embedded.errors import EmbeddedError
from ops.embedded.jars import kafka_jars
from ops.embedded.kafka import Layout
from ops.embedded.part import Part
from ops.embedded.ports import HOST, free_port
from ops.supervisor import Service, Supervisor

NODES: Final = 3
ORDERLY_S: Final = 30.0
IN_SYNC_S: Final = 120.0
_TEMPLATE: Final = Template(Path(__file__).with_name("nodes.properties").read_text())


@dataclass(frozen=True, slots=True)
class Nodes:
    """They run, and stay where they are when one is restarted."""

    parts: tuple[Part, ...]

    @property
    def settings(self) -> Mapping[str, str]:
        """What Sagsbro is told of them."""
        return {
            "SAGSBRO_KAFKA": ",".join(part.address for part in self.parts),
            "SAGSBRO_REPLICATION": str(len(self.parts)),
        }

    def await_in_sync(self) -> None:
        """Return when every partition is on every node. Raises EmbeddedError when it is not in time."""
        client = AdminClient({"bootstrap.servers": self.settings["SAGSBRO_KAFKA"], "log_level": 0})
        deadline, pause = time.monotonic() + IN_SYNC_S, threading.Event()
        while not _in_sync(client):
            if time.monotonic() > deadline:
                message = f"Kafka's nodes have not all of every partition after {IN_SYNC_S:g} s"
                raise EmbeddedError(message)
            pause.wait(0.5)


@contextmanager
def held(data: Path) -> Iterator[Nodes]:
    """Make three nodes under `data`, and end them afterwards."""
    supervisor, jars, cluster = Supervisor(data), kafka_jars(), kafka.new_cluster_id()
    ports = [(free_port(), free_port()) for _ in range(NODES)]
    voters = ",".join(f"{node}@{HOST}:{controller}" for node, (_, controller) in enumerate(ports, 1))
    parts = []
    try:
        for node, (port, controller) in enumerate(ports, 1):
            layout = Layout((data / f"node-{node}").resolve())
            of = {"node": node, "port": port, "controller_port": controller, "voters": voters}
            _prepare(layout, jars, cluster, of)
            service = Service(f"kafka-{node}", kafka.command(layout, jars), log=layout.output, grace=ORDERLY_S)
            supervisor.start(service)
            parts.append(_part(service, supervisor, port, layout))
        for part in parts:
            part.wait_ready()
        yield Nodes(tuple(parts))
    finally:
        for part in parts:
            part.kill()


def _prepare(layout: Layout, jars: Path, cluster: str, of: Mapping[str, object]) -> None:
    def settings(log_dirs: Path) -> str:
        return _TEMPLATE.substitute(of, log_dirs=log_dirs)

    kafka.make_folders(layout)
    kafka.make_data(layout, jars, cluster, settings)
    layout.settings.write_text(settings(layout.logs))


def _part(service: Service, supervisor: Supervisor, port: int, layout: Layout) -> Part:
    def answers() -> bool:
        return kafka.answers(port, layout.data)

    return Part(service, supervisor, HOST, port, f"{HOST}:{port}", answers, layout.log, None)


def _in_sync(client: AdminClient) -> bool:
    found = client.list_topics(timeout=10)
    partitions = [one for topic in found.topics.values() for one in topic.partitions.values()]
    return len(found.brokers) == NODES and all(len(one.isrs) == NODES for one in partitions)
