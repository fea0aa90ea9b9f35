"""A moment as text."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from broker.cli.running import show
from broker.domain.moments import text


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 21, 20, tzinfo=UTC),
        datetime(2026, 11, 21, 22, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 21, 20),  # noqa: DTZ001 - that is what it is about
    ],
)
def test_a_moment_is_told_in_utc_with_microseconds(at: datetime) -> None:
    assert text(at) == "2026-11-21T20:00:00.000000Z"


def test_commands_print_moments_as_everything_else_tells_them(capsys: pytest.CaptureFixture[str]) -> None:
    show({"last_at": datetime(2026, 11, 21, 20, 17, 33, 5, tzinfo=UTC)})
    assert json.loads(capsys.readouterr().out) == {"last_at": "2026-11-21T20:17:33.000005Z"}
