"""The versions of a subject: found, chosen, shown."""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from broker.api.core import Connection
from broker.api.registry.form import INVALID_VERSION, SUBJECT_NOT_FOUND, VERSION_NOT_FOUND, RegistryError
from broker.store import registry
from broker.store.registry import Version

T = TypeVar("T")
_LATEST: Final = ("latest", "-1")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


async def known(connection: Connection, subject: str, *, deleted: bool = False) -> list[Version]:
    """The versions of a subject, oldest first, at least one. Raises RegistryError."""
    found = await registry.versions(connection, subject, deleted=deleted)
    if not found:
        raise RegistryError(SUBJECT_NOT_FOUND, f"Subject '{subject}' not found")
    return found


async def chosen(connection: Connection, subject: str, said: str, *, deleted: bool = False) -> Version:
    """One version, by number or `latest`. Raises RegistryError."""
    if said not in _LATEST and _NUMBER.fullmatch(said) is None:
        raise RegistryError(INVALID_VERSION, "The specified version is not a valid version id")
    found = await known(connection, subject, deleted=deleted)
    if said in _LATEST:
        return found[-1]
    for one in found:
        if one.version == int(said):
            return one
    raise RegistryError(VERSION_NOT_FOUND, f"Version {said} not found")


def shown(version: Version) -> dict[str, Any]:
    """As it goes out."""
    return {
        "subject": version.subject,
        "version": version.version,
        "id": version.schema_id,
        "schemaType": "AVRO",
        "schema": version.body,
    }


def page(found: Sequence[T], offset: int, limit: int) -> Sequence[T]:
    """A part of a list; a limit below zero is none."""
    begin = max(0, offset)
    return found[begin:] if limit < 0 else found[begin : begin + limit]
