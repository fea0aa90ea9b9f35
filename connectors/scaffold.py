"""Writes the beginning of a connector: everything but what only its author can know."""

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Final

from broker.domain.identity import vendor_event_id
from broker.domain.outcome import Rejected
from connectors.payload import digest_of
from connectors.person import item_id
from connectors.times import micros

_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}", re.ASCII)
_KINDS: Final = {"esdh": "esdh", "eoj": "eoj", "standards": "standard"}
_AUTHORITY: Final = "55133018"
"""Whose events the contract suite makes."""
_MODULES: Final = ("__init__.py", "payloads.py", "mapping.py", "translate.py")

# A case as the scaffold's own payloads have it; its author replaces it by one of the vendor's.
CASE: Final[Mapping[str, Any]] = {
    "Id": "6f1b7c1e-0000-4000-8000-000000000001",
    "Nummer": "27.36.04-G01-1-24",
    "Titel": "Hjælp i hjemmet",
    "Kle": "27.36.04",
    "Status": "Aktiv",
    "Oprettet": "2024-03-18T09:00:00+01:00",
    "Aendret": "2024-03-19T10:30:00+01:00",
    "Cpr": "010145-5001",
}


def scaffold(name: str, kind: str, folder: Path) -> Sequence[str]:
    """The files written, under `folder`/kind/name. Raises ValueError or FileExistsError, and then writes nothing."""
    if not _NAME.fullmatch(name):
        raise ValueError("a name is 2 to 31 small letters and digits, and begins with a letter")
    if kind not in _KINDS:
        raise ValueError(f"a kind is one of {', '.join(_KINDS)}")
    here = folder / kind / name
    if here.exists():
        raise FileExistsError(f"{here} exists")
    words = {"name": name, "kind": _KINDS[kind], "room": kind, "Name": name.capitalize()}
    templates = files("connectors") / "templates"
    contents = {
        module: _sorted(Template((templates / f"{module}.txt").read_text(encoding="utf-8")).substitute(words))
        for module in _MODULES
    }
    for path, content in {**contents, **_goldens(name)}.items():
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_text(content, encoding="utf-8")
    return [str(here / path) for path in (*contents, *_goldens(name))]


def _sorted(module: str) -> str:
    """With the connectors' imports in order, which is another for each room."""
    lines = module.splitlines(keepends=True)
    places = [number for number, line in enumerate(lines) if line.startswith("from connectors.")]
    for number, line in zip(places, sorted(lines[number] for number in places), strict=True):
        lines[number] = line
    return "".join(lines)


def _goldens(name: str) -> dict[str, str]:
    cases: dict[str, tuple[object, object]] = {
        "case": (CASE, {"events": [_event(name)]}),
        "status_unknown": ({**CASE, "Status": "?"}, {"rejected": {"code": "state_unknown", "pointer": "/Status"}}),
        "id_missing": (
            {key: value for key, value in CASE.items() if key != "Id"},
            {"rejected": {"code": "mandatory_missing", "pointer": "/Id"}},
        ),
    }
    found = {"golden/broken.json": "", "golden/broken.expected.json": _json([_BROKEN])}
    for case, (payload, expected) in cases.items():
        found[f"golden/{case}.json"] = _json(payload)
        found[f"golden/{case}.expected.json"] = _json([expected])
    return found


_BROKEN: Final = {"rejected": {"code": "malformed_payload", "pointer": ""}}


def _event(name: str) -> dict[str, Any]:
    """What CASE comes to, when the groups are filled in as the template proposes."""
    case_id, created = CASE["Id"], "2024-03-18T08:00:00.000000Z"
    digest = digest_of(dict(CASE))
    if isinstance(digest, Rejected):
        raise TypeError("the case is JSON")
    registered = CASE["Aendret"]
    party = {"item_id": item_id(case_id, "PRIMARY", "CPR", "0101455001"), "role": "PRIMARY"}
    return {
        "event_id": vendor_event_id(name, _AUTHORITY, case_id, micros(registered), digest),
        "system": name,
        "authority": _AUTHORITY,
        "case_id": case_id,
        "registered_at": "2024-03-19T09:30:00.000000Z",
        "change": "REGISTERED",
        "properties": {
            "user_key": CASE["Nummer"],
            "title": CASE["Titel"],
            "created_at": created,
            "local_status": CASE["Status"],
        },
        "access": {"sensitivity": None, "hidden_from_citizen": False},
        "classification": {"kle": CASE["Kle"]},
        "progress": {"complete": True, "items": [{"state": "OPSTAAET", "effective_from": created}]},
        "parties": {"complete": True, "items": [{**party, "id_type": "CPR", "id": "0101455001"}]},
    }


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"
