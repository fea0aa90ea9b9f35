"""Advisory locks: what two duties share, only one of them would ever do."""

import re
from pathlib import Path

_LOCK = re.compile(r"^(LOCK|LOCK_CLASS): Final = ([\d_]+)$", re.MULTILINE)
ROOM = Path(__file__).parents[2] / "broker"


def test_every_duty_that_one_process_does_has_a_lock_of_its_own() -> None:
    found = [one.groups() for path in ROOM.rglob("*.py") for one in _LOCK.finditer(path.read_text())]
    assert {name for name, _ in found} == {"LOCK", "LOCK_CLASS"}
    assert len(set(found)) == len(found)
