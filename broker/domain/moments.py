"""A moment as text, the same wherever one is told. Pure."""

from datetime import UTC, datetime


def text(at: datetime) -> str:
    """ISO 8601 in UTC, always with microseconds; one without a zone is in UTC."""
    aware = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return aware.isoformat(timespec="microseconds").replace("+00:00", "Z")
