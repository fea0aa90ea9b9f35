"""What the processes of an instance spend and hold."""

from contextlib import suppress

import psutil

from ops.embedded.instance import Instance


def spent(running: Instance) -> dict[str, float]:
    """CPU seconds of each process and its children, living and gone, since it began."""
    return {name: sum(map(_seconds, _family(running, name))) for name in running.supervisor.names}


def resident(running: Instance, name: str) -> int:
    """Megabytes of the process alone: PostgreSQL's sessions share what they hold."""
    return int(_family(running, name)[0].memory_info().rss // 2**20)


def _family(running: Instance, name: str) -> list[psutil.Process]:
    process = psutil.Process(running.supervisor.pid(name))
    return [process, *process.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        return float(sum(process.cpu_times()[:4]))  # user and system, its own and those of children that have ended
    return 0.0
