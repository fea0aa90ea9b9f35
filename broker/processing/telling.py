"""Tells a vendor, once a day by its webhook, how many of its events were refused the day before, and why.

At most once: a day is taken in the database, and that is committed, before anything is sent. It is tried again only
where the vendor cannot have been told: nobody answered the call, or the answer said so. What may have arrived is never
sent again. Off unless configured.
"""

import asyncio
import hmac
import json
import os
import socket
import threading
import uuid
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Literal

import httpx
import psycopg

from broker.domain.identity import EVENT_NAMESPACE
from broker.logs import tell
from broker.overviews.own_log import COPENHAGEN
from broker.settings import Settings, Webhook
from broker.store import rejections
from broker.store.database import connect, conninfo
from broker.store.rejections import Filter

EACH_S: Final = 60.0
ANSWER_S: Final = 5.0
MOST_ATTEMPTS: Final = 8
_NOT_TOLD: Final = frozenset({429, 500, 502, 503, 504})
State = Literal["told", "again", "given_up"]


class PrivateAddressError(Exception):
    """The webhook leads into a network that is not the public one."""


def keep(settings: Settings, stop: threading.Event) -> None:
    """Tell whoever is due, until told to stop; several processes may."""
    while settings.rejection_webhooks and not stop.is_set():
        try:
            tell_all(settings, datetime.now(UTC), stop)
        except psycopg.Error as why:
            tell("database_unreachable", error=type(why).__name__)
        stop.wait(EACH_S)


def tell_all(settings: Settings, now: datetime, stop: threading.Event) -> None:
    """Every vendor of the day before `now`, by the Danish clock, that has not been told yet and is due."""
    day = now.astimezone(COPENHAGEN).date() - timedelta(days=1)
    for system, webhook in settings.rejection_webhooks.items():
        secret = os.environ.get(webhook.secret)
        if stop.is_set():
            return
        if not secret:
            tell("webhook_failed", system=system, why=f"{webhook.secret} is not set")
            continue
        with connect(settings.dsn, "publisher-webhook") as connection:
            with connection.transaction():
                attempt = rejections.claim_telling(connection, system, day)
                report = None if attempt is None else asyncio.run(_report(settings, system, webhook, day))
            if attempt is None or report is None:
                continue
            came = _told(webhook, secret.encode(), report, now) if report["rejections"] else "told"
            if came == "again" and attempt >= MOST_ATTEMPTS:
                came = "given_up"
            rejections.settle_telling(connection, system, day, came, pause(attempt))
            tell("webhook_told" if came == "told" else "webhook_failed", system=system, state=came, attempt=attempt)


def pause(attempt: int) -> timedelta:
    """How long to wait after so many attempts: 1, 2, 4 ... 64 minutes."""
    return timedelta(minutes=2 ** min(attempt - 1, 6))


def signature(secret: bytes, at: int, body: bytes) -> str:
    """`t=<seconds since 1970>,v1=<hex>`: HMAC-SHA256 over the time, a point, and the body as it is."""
    return f"t={at},v1={hmac.new(secret, b'%d.%b' % (at, body), sha256).hexdigest()}"


def is_public(address: str) -> bool:
    """Whether it is one of the public network's, also where it is an IPv4 address in the form of IPv6."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return ip.is_global and not ip.is_multicast


def _told(webhook: Webhook, secret: bytes, report: dict[str, Any], now: datetime) -> State:
    """What came of one attempt."""
    body = json.dumps(report, ensure_ascii=False).encode()
    named = uuid.uuid5(EVENT_NAMESPACE, f"{report['system']}|{report['day']}")
    headers = {
        "Content-Type": "application/json",
        "Sagsbro-Delivery": str(named),
        "Sagsbro-Signature": signature(secret, int(now.timestamp()), body),
    }
    try:
        status = _post(webhook, body, headers)
    except (httpx.ConnectError, httpx.ConnectTimeout, OSError, UnicodeError, PrivateAddressError):
        return "again"
    except httpx.HTTPError:
        return "told"  # or not: nobody knows, and twice is worse than not at all
    if status in _NOT_TOLD:
        return "again"
    return "told" if httpx.codes.is_success(status) else "given_up"


def _post(webhook: Webhook, body: bytes, headers: dict[str, str]) -> int:
    """To the address that was looked at, whatever the name says a moment later. Raises what `httpx` does, OSError."""
    url = httpx.URL(webhook.url)
    if url.scheme != "https" and not webhook.private:
        raise PrivateAddressError
    port = url.port or (443 if url.scheme == "https" else 80)
    found = [str(one[4][0]) for one in socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)]
    if not webhook.private and not all(map(is_public, found)):
        raise PrivateAddressError
    there = url.copy_with(host=found[0])
    said = {**headers, "Host": url.netloc.decode()}
    options: dict[str, Any] = {"content": body, "headers": said, "extensions": {"sni_hostname": url.host}}
    # What the vendor says beyond its status is not read.
    with httpx.Client(timeout=ANSWER_S, trust_env=False) as client, client.stream("POST", there, **options) as answer:
        return answer.status_code


async def _report(settings: Settings, system: str, webhook: Webhook, day: date) -> dict[str, Any]:
    """How many and why; which events they were the vendor asks for with its own token."""
    within = Filter(authorities=None if webhook.authorities is None else tuple(webhook.authorities))
    dsn = conninfo(settings.dsn, "publisher-webhook")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        told = await rejections.of_day(connection, within, system, day, COPENHAGEN, 0)
    return {name: told[name] for name in ("system", "day", "rejections", "causes")}
