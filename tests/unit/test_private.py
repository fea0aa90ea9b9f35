"""Nobody else reads what an instance keeps on its disk, however its data directory came to be."""

import stat
from pathlib import Path

import pytest

from ops.embedded import kafka, lock, postgres


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return what a demo has made on its way to its own directory; everybody may look into it."""
    data = tmp_path / "sagsbro"
    with lock.held(data / "demo"):
        pass
    data.chmod(0o755)  # whatever the umask is here
    return data


def prepare_kafka(data: Path) -> None:
    layout = kafka.Layout(data)
    layout.logs.mkdir(parents=True, exist_ok=True)  # formatted before
    kafka._prepare(layout, Path("jars"), 9092, "")


def prepare_postgres(data: Path) -> None:
    layout = postgres.Layout(data)
    layout.cluster.mkdir(parents=True, exist_ok=True)
    postgres._prepare(layout, None)


@pytest.mark.parametrize("before", [(), ("kafka", "log", "postgres")])
def test_what_holds_cases_and_logs_is_its_owners_alone(data: Path, before: tuple[str, ...]) -> None:
    for name in before:
        (data / name).mkdir()
        (data / name).chmod(0o755)

    prepare_kafka(data)
    assert {name: mode(data / name) for name in ("kafka", "log")} == {"kafka": 0o700, "log": 0o700}
    (data / "log").rmdir()
    prepare_postgres(data)
    assert {name: mode(data / name) for name in ("postgres", "log")} == {"postgres": 0o700, "log": 0o700}
