"""A compliance run on a whole Sagsbro: what a vendor sends over HTTP is judged from what has become of it."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import httpx
from click.testing import CliRunner

from broker.cli import main
from broker.cli.setup import prepare
from broker.intake.canonical import to_json
from broker.security import Issuer
from broker.settings import said
from broker.store.database import connect
from ops.bench.faults import settle
from ops.bench.filled import AUTHORITIES, SYSTEMS, agree, case_id, filled
from ops.embedded import instance
from ops.embedded.instance import Instance

AUTHORITY, SYSTEM = AUTHORITIES[0], SYSTEMS[0]


GONE = {"change": "REMOVED", "removal_reason": "DISPOSED"}


def ready(where: Mapping[str, str]) -> None:
    prepare(said(where))
    agree(said(where))


def whole(number: int, n: int, **more: Any) -> dict[str, Any]:
    event = to_json(filled(Random(n), n, number))  # noqa: S311 - reproducible
    return {**event, "authority": AUTHORITY, "system": SYSTEM, **more}


def scenarios() -> list[dict[str, Any]]:
    first = whole(1, 1)
    head = {name: first[name] for name in ("system", "authority", "case_id")}
    party = {"item_id": "p", "role": "PRIMARY", "id_type": "CPR", "id": "3913455001"}
    properties = {**first["properties"], "title": "Voksensag", "confidential_title": "Noget andet"}
    return [
        first,
        whole(1, 3),
        whole(1, 2),
        first,
        {
            **head,
            "event_id": "gone",
            "registered_at": "2026-01-01T00:00:00Z",
            "change": "REMOVED",
            "removal_reason": "DISPOSED",
        },
        whole(5, 5, parties=[party]),
        whole(6, 6, classification={"kle": "99.99.99"}),
        whole(7, 7, properties=properties),
        whole(8, 8, parties=[]),
    ]


def command(data: Path, *arguments: str) -> tuple[int, Any]:
    named = (SYSTEM, "--authority", AUTHORITY, "--json", "--data", str(data))
    ran = CliRunner().invoke(main, ["compliance", *named, *arguments])
    return ran.exit_code, json.loads(ran.stdout) if ran.exit_code != 1 else ran.output


def test_a_vendor_is_judged_by_what_came_since_the_run_began(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        code, words = command(data)
        assert (code, "no run was begun" in words) == (1, True)
        _send(running, [whole(20, 20), whole(20, 20)])
        assert settle(said(running.settings)) == []
        code, begun = command(data, "--start")
        assert (code, len(begun["requirements"])) == (0, 18)
        _send(running, scenarios())
        assert settle(said(running.settings)) == []
        page = tmp_path / "report.html"
        code, report = command(data, "--html", str(page))
        with connect(said(running.settings).dsn, "test") as connection:
            kept = connection.execute("SELECT authority, system, passed, report FROM compliance_run").fetchall()
    verdicts = {one["number"]: one["verdict"] for one in report["requirements"]}
    met = {"R1", "R2", "R3", "R4", "R5", "R6", "R8", "R9", "R10", "R14", "R16"}
    assert {number for number, verdict in verdicts.items() if verdict == "met"} == met
    assert verdicts["R11"] == "not_expressible"
    assert (code, report["passed"]) == (3, False)
    assert report["observed"] == {"indexed": 5, "stale": 2, "rejected": 2}
    assert kept == [(AUTHORITY, SYSTEM, False, report)]
    assert "NOT SENT" in page.read_text(encoding="utf-8")
    assert case_id(1) not in json.dumps(report)


def _send(running: Instance, events: list[dict[str, Any]]) -> None:
    """One after the other, so that each partition has them in this order."""
    settings = said(running.settings)
    claims = {"sub": "vendor", "role": "vendor", "system": SYSTEM, "authorities": [AUTHORITY]}
    headers = {"Authorization": f"Bearer {Issuer(settings).issue(claims, 600)}"}
    with httpx.Client(base_url=settings.api_url, headers=headers, timeout=30, trust_env=False) as client:
        for event in events:
            assert client.post("/v1/case-events", json=event).status_code in (202, 422)
