"""The resources of one bundle, and what a reference in it leads to. Pure.

FHIR leaves more than one way to say the same; where two resources could be meant, none is: the wrong citizen is
the worst mistake to make.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

_VERSION: Final = "/_history/"


class Found(NamedTuple):
    """A resource, with the pointer to it and the address that its entry gives it.

    holder: the resource that contains it, when it has no entry of its own.
    """

    at: str
    resource: Mapping[str, Any]
    address: str = ""
    holder: "Found | None" = None

    @property
    def name(self) -> str:
        """As relative references say it."""
        return f"{self.resource.get('resourceType')}/{self.resource.get('id')}"

    @property
    def part(self) -> dict[str, object]:
        """As payloads carry it."""
        return {"at": self.at, "resource": self.resource}


@dataclass(slots=True)
class Shelf:
    """All resources of one bundle."""

    _by_address: dict[str, list[Found]] = field(default_factory=dict)
    _by_name: dict[str, list[Found]] = field(default_factory=dict)

    def put(self, found: Found) -> None:
        """A resource in several versions is there several times."""
        if found.address:
            self._by_address.setdefault(found.address, []).append(found)
        self._by_name.setdefault(found.name, []).append(found)

    def follow(self, found: Found, reference: object, kind: str) -> Found | None:
        """The resource of that kind to which a Reference element in `found` leads."""
        led = self._follow(found.holder or found, reference)
        return led if led is not None and led.resource.get("resourceType") == kind else None

    def _follow(self, holder: Found, reference: object) -> Found | None:
        target = reference.get("reference") if isinstance(reference, dict) else None
        if not isinstance(target, str):
            return None
        if target.startswith("#"):
            return next((one for one in _contained(holder) if one.resource.get("id") == target[1:]), None)
        target = target.partition(_VERSION)[0]
        if (known := self._by_address.get(target)) is not None:
            return _newest(known)
        if "://" in target or target.startswith("urn:"):
            return self._without_address(target)
        named = self._by_name.get(target, [])
        server = holder.address.removesuffix(holder.name)
        if server == holder.address:
            return _newest(named)
        # Beside the holder on its server; what lies on another server is another resource of the same name.
        beside = self._by_address.get(server + target)
        return _newest(beside or [one for one in named if not one.address.startswith("http")])

    def _without_address(self, target: str) -> Found | None:
        """An address leads to a resource of that name only where its entry does not say another."""
        name = "/".join(target.rsplit("/", 2)[-2:])
        return _newest([one for one in self._by_name.get(name, []) if not one.address])


def _contained(holder: Found) -> Iterator[Found]:
    listed = holder.resource.get("contained")
    for index, resource in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(resource, dict):
            yield Found(f"{holder.at}/contained/{index}", resource, holder=holder)


def _newest(known: list[Found]) -> Found | None:
    """Of versions of one resource the newest; None when they are not one resource."""
    if not known or any(one.address != known[0].address for one in known):
        return None
    newest: Found = max(reversed(known), key=_stored)
    return newest


def _stored(one: Found) -> str:
    """Only compares versions of one server, which writes its times in one way."""
    meta = one.resource.get("meta")
    stored = meta.get("lastUpdated") if isinstance(meta, dict) else None
    return stored if isinstance(stored, str) else ""
