"""Onboards the demo's municipalities over HTTP, the way an operator would; and its tokens."""

from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from typing import Any, Final

import httpx

from broker.security import Issuer
from ops.demo import canonical, care
from ops.demo.mix import senders
from ops.demo.sample import Sender
from ops.demo.vendors import VENDORS
from ops.demo.world import AARHUS, COPENHAGEN, ODENSE, agreements, authorities, delimitations, reader_agreements
from ops.embedded.errors import EmbeddedError

FIRST_EDITION: Final = date(2020, 1, 1)
EDITION: Final = date(2022, 1, 1)
_RETIRED_ROW: Final = f"{canonical.RETIRED},Gik ud af brug i demoen\n".encode()
_A_DAY: Final = 86_400
ALL: Final = tuple(authority["cvr"] for authority in authorities())


def vendor_tokens(issuer: Issuer) -> dict[Sender, str]:
    """A token for each sender."""
    return {
        sender: issuer.issue(
            {
                "sub": f"demo-{sender.system}-{sender.authority}",
                "role": "vendor",
                "system": sender.system,
                "authorities": [sender.authority],
            },
            30 * _A_DAY,
        )
        for sender in senders()
    }


def employee_token(issuer: Issuer) -> str:
    """A caseworker who may see all that the three delivering municipalities show."""
    scopes = [
        {"authority": cvr, "kle": ["N*"], "sensitivity": "FOELSOMME_PERSONOPLYSNINGER"}
        for cvr in (AARHUS, ODENSE, COPENHAGEN)
    ]
    return issuer.issue(
        {"sub": "demo-caseworker", "name": "Demo caseworker", "role": "employee", "scopes": scopes}, _A_DAY
    )


async def onboard(http: httpx.AsyncClient, issuer: Issuer) -> None:
    """Authorities, two KLE editions, agreements of senders and readers, delimitations. Raises EmbeddedError."""
    token = issuer.issue({"sub": "demo-onboarding", "role": "onboarding", "authorities": list(ALL)}, 600)
    operator = issuer.issue({"sub": "demo-operator", "role": "operator"}, 600)
    kle = files("ops.demo").joinpath("kle.csv").read_bytes()
    await _put(http, token, "/v1/authorities", json=authorities())
    for edition, rows in ((FIRST_EDITION, kle + _RETIRED_ROW), (EDITION, kle)):
        await _put(http, operator, f"/v1/kle/editions/{edition}", content=rows, headers={"Content-Type": "text/csv"})
    vendors = [agreement for vendor in VENDORS for agreement in vendor.agreements()]
    agreed = [*agreements(), *care.agreements(), *vendors, *canonical.agreements(), *reader_agreements()]
    await _put(http, token, "/v1/agreements", json=agreed)
    await _put(http, token, "/v1/delimitations", json=delimitations())


def bearer(token: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {token}"}


async def _put(
    http: httpx.AsyncClient, token: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any
) -> None:
    answer = await http.put(path, headers={**bearer(token), **(headers or {})}, **body)
    if answer.is_error:
        raise EmbeddedError(f"onboarding: PUT {path} was answered {answer.status_code}: {answer.text[:300]}")
