"""A vendor pushes cases in its own words, reads what became of them, mends what was refused, and sends it again.

SAGSBRO_TOKEN=… python -m connectors.examples.push http://127.0.0.1:8470 55133018
"""

import os
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx

Case = dict[str, Any]
TRY_AGAIN = (409, 503)


def push(http: httpx.Client, authority: str, cases: list[Case]) -> dict[str, Any]:
    """Send cases; whatever happens on the way, the same key makes sure that they are taken in once."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    address = f"/v1/events/sbsys?authority={authority}"
    while (answer := http.post(address, json=cases, headers=key)).status_code in TRY_AGAIN:
        time.sleep(int(answer.headers["Retry-After"]))
    if answer.status_code not in (202, 422):  # 422: every case was rejected, and the answer says why
        answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def verdicts(http: httpx.Client, receipt_id: str) -> list[str]:
    """What became of each case, once the index has them all: indexed, stale, duplicate, delimited or rejected."""
    while True:
        events = http.get(f"/v1/receipts/{receipt_id}").raise_for_status().json()["events"]
        found = [one["status"] for one in events]
        if "pending" not in found:
            return found
        time.sleep(0.2)


def case(status: str) -> Case:
    """A case as SBSYS shows it, as short as one can be."""
    now = datetime.now(UTC).isoformat()
    return {
        "SagIdentity": str(uuid.uuid4()),
        "Nummer": "27.36.04-G01-1-24",
        "SagsTitel": "Bevilling af hjælpemiddel",
        "SagsStatus": {"Navn": status},
        "PrimaryPart": {"PartType": "Person", "CPRnummer": "010145-5001"},
        "Oprettet": now,
        "SenesteStatusAendring": now,
        "SenestAendret": now,
    }


def main(url: str, authority: str) -> None:
    """Push, read the receipt, mend, send again."""
    token = {"Authorization": f"Bearer {os.environ['SAGSBRO_TOKEN']}"}
    with httpx.Client(base_url=url, headers=token, timeout=30) as http:
        good, bad = case("Aktiv"), case("Parkeret")
        answer = push(http, authority, [good, bad])
        for one in answer["rejected"]:
            print(f"case {one['index']}: {one['code']} at {one['pointer']}: {one['detail']}. {one['remedy']}")
        print("first:", *verdicts(http, answer["receipt_id"]))

        mended = {**bad, "SagsStatus": {"Navn": "Aktiv"}}
        print("mended:", *verdicts(http, push(http, authority, [mended])["receipt_id"]))
        print("once more:", *verdicts(http, push(http, authority, [good, mended])["receipt_id"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
