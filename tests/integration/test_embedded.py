"""The embedded Kafka and PostgreSQL: real, restartable on their data, and honest about what is in the way."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from ops import supervisor
from ops.embedded import jars, kafka, orphans, ports, postgres
from ops.embedded.errors import EmbeddedError
from ops.embedded.part import Part
from ops.supervisor import Exit, Service, Supervisor

TIMEOUT = 60.0


@pytest.fixture
def own_kafka(own_data: Path) -> Iterator[Part]:
    """Yield a Kafka that a test may ill-treat."""
    running = kafka.start(own_data)
    yield running
    running.stop()


@pytest.fixture
def own_postgres(own_data: Path) -> Iterator[Part]:
    """Yield a PostgreSQL that a test may ill-treat."""
    running = postgres.start(own_data)
    yield running
    running.stop()


def produce(address: str, topic: str, value: bytes) -> None:
    """Make the topic and put one acknowledged message into it."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])[topic].result(TIMEOUT)
    producer = Producer({"bootstrap.servers": address})
    producer.produce(topic, value)
    assert producer.flush(TIMEOUT) == 0


def read(address: str, topic: str) -> bytes:
    """Return the first message."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(TIMEOUT)
    consumer.close()
    value = message.value() if message else None
    assert isinstance(value, bytes)
    return value


def test_kafka_keeps_messages_and_cluster_id_over_kill_9(own_kafka: Part, own_data: Path) -> None:
    """The page cache outlives the process."""
    identity = kafka.cluster_id(own_data)
    produce(own_kafka.address, "kept", b"still here")
    own_kafka.kill()
    assert own_kafka.pid is None
    own_kafka.restart()
    assert read(own_kafka.address, "kept") == b"still here"
    admin = AdminClient({"bootstrap.servers": own_kafka.address})
    assert admin.list_topics(timeout=TIMEOUT).cluster_id == identity


ASK_ON = """
import sys, time
from confluent_kafka import KafkaException
from broker.stream.cluster import admin, logs

client, heard, began = admin({"bootstrap.servers": sys.argv[1]}), 0, time.monotonic()
while (took := time.monotonic() - began) < 15 or (not heard and took < 45):
    try:
        heard += len(logs(client, "asked", [0]))
    except KafkaException:
        pass
    time.sleep(0.01)
print("heard" if heard else "nothing")
"""


def test_a_broker_that_counts_itself_as_dead_ends_no_process_that_asks_for_logs(own_data: Path) -> None:
    """As after a stall: its metadata name no broker then, and librdkafka aborts where that is asked for wrongly."""
    running = kafka.start(own_data, more="broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=900\n")
    try:
        produce(running.address, "asked", b"something")
        asking = subprocess.Popen([sys.executable, "-c", ASK_ON, running.address], stdout=subprocess.PIPE, text=True)
        for _ in range(3):
            time.sleep(1.5)
            os.kill(running.pid or 0, signal.SIGSTOP)
            time.sleep(2.5)
            os.kill(running.pid or 0, signal.SIGCONT)
        said, _ = asking.communicate(timeout=TIMEOUT)
    finally:
        running.stop()
    assert (asking.returncode, said) == (0, "heard\n")


def test_kafka_comes_back_on_other_ports_with_the_same_data(own_kafka: Part, own_data: Path) -> None:
    """A port is chosen per run; data are not bound to it."""
    produce(own_kafka.address, "moved", b"still here")
    own_kafka.stop()
    again = kafka.start(own_data, ports.free_port())
    try:
        assert again.port != own_kafka.port
        assert read(again.address, "moved") == b"still here"
    finally:
        again.stop()


@pytest.mark.parametrize("which", ["own_kafka", "own_postgres"])
def test_a_port_that_somebody_else_took_meanwhile_is_given_up(which: str, request: pytest.FixtureRequest) -> None:
    """Between choosing a port and listening there is time for others."""
    part: Part = request.getfixturevalue(which)
    part.stop()
    with socket.create_server((ports.HOST, part.port)):
        part.supervisor.start(part.service)
        again = part.settled()
    assert again.port != part.port
    assert again.answers()
    again.stop()


def test_another_kafka_that_was_faster_at_the_port_is_not_taken_for_this_one(
    request: pytest.FixtureRequest, own_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other: Part = request.getfixturevalue("kafka")
    with monkeypatch.context() as chosen:
        chosen.setattr(kafka, "claim", lambda *_: other.port)
        late = kafka.launch(own_data)
    again = late.settled()
    assert again.port != other.port
    assert again.answers()
    assert other.answers()
    again.stop()


def test_a_port_that_was_asked_for_is_kept_or_refused(own_postgres: Part, own_data: Path) -> None:
    """The message is the server's own reason."""
    own_postgres.stop()
    asked = postgres.start(own_data, ports.free_port())
    asked.stop()
    with socket.create_server((ports.HOST, asked.port)):
        asked.supervisor.start(asked.service)
        with pytest.raises(EmbeddedError, match="Address already in use"):
            asked.settled()
    asked.stop()


def test_kafka_makes_no_topic_by_itself(kafka: Part) -> None:
    """A mistyped topic is an error, not a topic."""
    admin = AdminClient({"bootstrap.servers": kafka.address})
    admin.list_topics("mistyped", timeout=TIMEOUT)
    assert "mistyped" not in admin.list_topics(timeout=TIMEOUT).topics


def test_everything_listens_on_the_loopback_address_only(kafka: Part, postgres: Part) -> None:
    """Nothing of the embedded parts is reachable from outside."""
    listening = [
        connection.laddr.ip
        for part in (kafka, postgres)
        for connection in psutil.Process(part.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}


def test_postgres_keeps_committed_rows_over_kill_9(own_postgres: Part) -> None:
    """What was acknowledged is there."""
    with psycopg.connect(own_postgres.address) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    own_postgres.kill()
    own_postgres.restart()
    with psycopg.connect(own_postgres.address) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_postgres_starts_though_its_old_number_passed_to_another_process(own_postgres: Part, own_data: Path) -> None:
    """After a reboot the pid in its file may be anybody's."""
    own_postgres.kill()
    pid_file = postgres.Layout(own_data).cluster / "postmaster.pid"
    _, *rest = pid_file.read_text().splitlines(keepends=True)
    pid_file.write_text("".join([f"{os.getpid()}\n", *rest]))
    again = postgres.start(own_data)
    again.stop()


def test_postgres_does_not_open_private_directories_to_everybody(own_postgres: Part, own_data: Path) -> None:
    """Its system user gets through; others do not."""
    assert own_postgres.pid
    assert not own_data.stat().st_mode & stat.S_IRWXO
    assert not (own_data / "postgres.password").stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def test_postgres_refuses_a_wrong_password(postgres: Part) -> None:
    """Loopback is not a reason to trust."""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres.address, password="")


def test_postgres_writes_nothing_that_clients_sent_into_its_log(own_postgres: Part) -> None:
    """A failing statement names the value it fails on; the client hears it, the log does not."""
    with psycopg.connect(own_postgres.address) as connection, pytest.raises(psycopg.errors.InvalidTextRepresentation):
        connection.execute("SELECT '0101010101-secret'::integer")
    own_postgres.stop()
    assert own_postgres.service.log
    log = own_postgres.service.log.read_text()
    assert "ready to accept connections" in log
    assert "secret" not in log


def test_a_test_may_have_an_empty_database(empty_database: str) -> None:
    """Tables of other tests are not there."""
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


@pytest.mark.parametrize(("start", "option"), [(kafka.start, "--kafka-port"), (postgres.start, "--postgres-port")])
def test_a_taken_port_is_named_with_the_way_out(start: type, option: str, own_data: Path) -> None:
    """The message is all the person at the keyboard needs."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedError, match=f"port {port} .* taken.*{option}"):
            start(own_data, port)


def test_a_changed_jar_is_not_verified(tmp_path: Path) -> None:
    """One byte is enough."""
    locked = jars.read_lock(jars.LOCK.read_text())
    directory = jars.kafka_jars()
    assert jars.verified(directory, locked)
    for jar in locked:
        (tmp_path / jar.file_name).symlink_to(directory / jar.file_name)
    assert jars.verified(tmp_path, locked)
    victim = tmp_path / locked[0].file_name
    changed = victim.read_bytes() + b"\0"
    victim.unlink()
    victim.write_bytes(changed)
    assert not jars.verified(tmp_path, locked)


def test_the_jar_lock_names_no_host() -> None:
    """Where jars come from is the resolver's business."""
    assert "://" not in jars.LOCK.read_text()


def test_waiting_times_double_to_a_limit_and_start_anew_after_a_long_life() -> None:
    """Crash-only does not mean busy."""
    delays, delay = [], 0.0
    for _ in range(7):
        delay = supervisor.next_delay(delay, alive=0.1, code=1)
        delays.append(delay)
    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])
    assert supervisor.next_delay(5.0, alive=31, code=1) == supervisor.FIRST_DELAY


def test_a_child_that_needs_an_operator_waits_longest() -> None:
    """Its message stays to be read."""
    assert supervisor.next_delay(0, alive=100, code=3) == supervisor.LONGEST_DELAY


def test_a_crashed_child_is_reported_and_started_again(own_data: Path) -> None:
    """The same service, another process."""
    reported: list[Exit] = []
    keeping = Supervisor(own_data, reported.append)
    keeping.start(Service("sleeper", ("sleep", "1000")))
    former = keeping.kill9("sleeper")
    assert keeping.await_restart("sleeper", former, TIMEOUT) != former
    keeping.stop_all()
    assert reported == [Exit("sleeper", -signal.SIGKILL, supervisor.FIRST_DELAY)]
    assert keeping.names == ()


def test_a_child_that_does_not_hear_is_killed_after_its_grace(own_data: Path) -> None:
    """Stopping takes a bounded time."""
    keeping = Supervisor(own_data)
    deaf = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); signal.sigwait([signal.SIGUSR1])"
    keeping.start(Service("deaf", (sys.executable, "-c", deaf), grace=0.5))
    keeping.stop("deaf")
    assert keeping.pid("deaf") is None


def test_a_stopped_zombie_can_be_continued_and_ended(own_data: Path) -> None:
    """SIGSTOP and SIGCONT go to the process that runs now."""
    keeping = Supervisor(own_data)
    keeping.start(Service("sleeper", ("sleep", "1000")))
    pid = keeping.signal("sleeper", signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOWAIT)
    assert psutil.Process(pid).status() == psutil.STATUS_STOPPED
    keeping.stop("sleeper")
    assert keeping.names == ()


def test_a_child_ends_with_the_thread_that_kept_it_whatever_happened(own_data: Path) -> None:
    """A parent killed by SIGKILL cannot clean up: the kernel does."""
    script = (
        "import sys; from pathlib import Path; from ops.supervisor import Service, Supervisor\n"
        "s = Supervisor(Path(sys.argv[1])); s.start(Service('sleeper', ('sleep', '1000')))\n"
        "print(s.pid('sleeper'), flush=True); sys.stdin.read()"
    )
    parent = psutil.Popen([sys.executable, "-c", script, str(own_data)], stdin=-1, stdout=-1, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=TIMEOUT)
    assert not child.is_running()


def test_an_orphan_is_ended_and_a_stranger_is_not(own_data: Path) -> None:
    """Only pid, start time and data directory together make an orphan."""
    record = orphans.Record(own_data)
    orphan, stranger = _parentless(record.mark), _parentless({})
    try:
        record.add("orphan", orphan.pid, signal.SIGTERM)
        record.add("stranger", stranger.pid, signal.SIGTERM)
        assert orphans.end_orphans(own_data) == ["orphan"]
        assert not orphan.is_running()
        assert stranger.is_running()
    finally:
        for process in (orphan, stranger):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def _parentless(mark: dict[str, str]) -> psutil.Process:
    """Return a process whose parent is gone; such a one is not this test's to reap."""
    argv = ("/bin/sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!")
    started = subprocess.run(argv, env={**os.environ, **mark}, stdout=subprocess.PIPE, check=True)
    return psutil.Process(int(started.stdout))


def test_a_number_that_passed_to_another_process_is_left_alone(own_data: Path) -> None:
    """The start time tells them apart."""
    record = orphans.Record(own_data)
    later = psutil.Popen(["sleep", "1000"], env={**os.environ, **record.mark})
    try:
        mark = f'[{{"name": "gone", "pid": {later.pid}, "created": {later.create_time() - 60}, "stop_signal": 15}}]'
        (own_data / "run.json").write_text(mark)
        assert orphans.end_orphans(own_data) == []
        assert later.is_running()
    finally:
        with suppress(psutil.NoSuchProcess):
            later.kill()
        later.wait()


def test_free_ports_lie_below_those_of_outgoing_connections() -> None:
    """So no client can connect to itself while a service is down."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(ports.free_port() < first for _ in range(20))
