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
    """All resources of one bundle, all put before the first is followed. What a sender repeats is found out once."""

    _by_address: dict[str, list[Found]] = field(default_factory=dict)
    _by_name: dict[str, list[Found]] = field(default_factory=dict)
    _contained: dict[str, dict[str, Found]] = field(default_factory=dict)
    _settled: dict[tuple[str, str], Found | None] = field(default_factory=dict)

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
            return self._inside(holder).get(target[1:])
        target = target.partition(_VERSION)[0]
        if target in self._by_address:
            return self._newest("at", target)
        if "://" in target or target.startswith("urn:"):
            return self._newest("nowhere", "/".join(target.rsplit("/", 2)[-2:]))
        server = holder.address.removesuffix(holder.name)
        if server == holder.address:
            return self._newest("anywhere", target)
        # Beside the holder on its server; what lies on another server is another resource of the same name.
        beside = server + target
        return self._newest("at", beside) if beside in self._by_address else self._newest("on no server", target)

    def _inside(self, holder: Found) -> Mapping[str, Found]:
        """By their ids; the first where one is there twice."""
        if (known := self._contained.get(holder.at)) is None:
            known = self._contained[holder.at] = {}
            for one in _contained(holder):
                if isinstance(name := one.resource.get("id"), str):
                    known.setdefault(name, one)
        return known

    def _newest(self, where: str, target: str) -> Found | None:
        if (where, target) not in self._settled:
            named = self._by_name.get(target, [])
            match where:
                case "at":
                    named = self._by_address[target]
                case "nowhere":
                    # An address leads to a resource of that name only where its entry does not say another.
                    named = [one for one in named if not one.address]
                case "on no server":
                    named = [one for one in named if not one.address.startswith("http")]
            self._settled[where, target] = _newest(named)
        return self._settled[where, target]


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
