"""A vendor pushes cases, reads what became of them, mends what was refused, and sends everything once more.

SAGSBRO_TOKEN=… python -m consumers.examples.vendor_push http://127.0.0.1:8470 sbsys 55133018
"""

import os
import sys
import time
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx

Event = dict[str, Any]
TRY_AGAIN = (409, 503)


def push(http: httpx.Client, events: list[Event]) -> dict[str, Any]:
    """Send events; whatever happens on the way, the same key makes sure that they are taken in once."""
    key = {"Idempotency-Key": str(uuid.uuid4())}
    while (answer := http.post("/v1/case-events", json=events, headers=key)).status_code in TRY_AGAIN:
        time.sleep(int(answer.headers["Retry-After"]))
    if answer.status_code not in (202, 422):  # 422: every event was rejected, and the answer says why
        answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body


def verdicts(http: httpx.Client, receipt_id: str) -> list[str]:
    """What became of each event, once the index has them all: indexed, stale, duplicate, delimited or rejected."""
    while True:
        events = http.get(f"/v1/receipts/{receipt_id}").raise_for_status().json()["events"]
        found = [one["status"] for one in events]
        if "pending" not in found:
            return found
        time.sleep(0.2)


def case(system: str, authority: str, kle: str) -> Event:
    """A case as short as one can be."""
    now = datetime.now(UTC).isoformat()
    return {
        "event_id": str(uuid.uuid4()),
        "system": system,
        "authority": authority,
        "case_id": str(uuid.uuid4()),
        "registered_at": now,
        "change": "REGISTERED",
        "properties": {"user_key": "17/24", "title": "Bevilling af hjælpemiddel", "created_at": now},
        "classification": {"kle": kle},
        "progress": [{"state": "OPSTAAET", "effective_from": now}],
        "parties": [{"item_id": "1", "role": "PRIMARY", "id_type": "CVR", "id": authority}],
    }


def main(url: str, system: str, authority: str) -> None:
    """Push, read the receipt, mend, replay."""
    token = {"Authorization": f"Bearer {os.environ['SAGSBRO_TOKEN']}"}
    with httpx.Client(base_url=url, headers=token, timeout=30) as http:
        good, bad = case(system, authority, "27.36.04"), case(system, authority, "27.36")
        answer = push(http, [good, bad])
        for one in answer["rejected"]:
            print(f"event {one['index']}: {one['code']} at {one['pointer']}. {one['remedy']}")
        print("first:", *verdicts(http, answer["receipt_id"]))

        mended = {**bad, "classification": {"kle": "27.36.04"}}
        print("mended:", *verdicts(http, push(http, [mended])["receipt_id"]))
        print("once more:", *verdicts(http, push(http, [good, mended])["receipt_id"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
