"""Asks KMD Nexus what has changed, by following its links. Knows nothing of the canonical event.

The vendor publishes no change feed. Read in public code: the token, the root's links, `patientDetailsSearch`, the
activity lists with their pages, a citizen's view with its tree of references, grants and conditions behind links.
Assumed: that one activity list can show all grants and pathways to be followed, and that an item of it changes in
its version, state or date when the object does.
"""

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import httpx
import orjson

from connectors.retry import Asker, Patience, Unanswered
from connectors.runner import Cursor, Page
from connectors.unread import Readings, unread

_log = logging.getLogger(__name__)
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOR_US: Final = frozenset({_FORBIDDEN, 404, 410})
# A link's answer is a page: what follows from one that is cut off or not JSON is asked once more, then given up.
_READINGS: Final = 3
_TICK: Final = timedelta(microseconds=1)
PATHWAY: Final = "patientPathwayReference"
GRANT: Final = "basketGrantReference"
# What an item of a list is told apart by. Its name and the citizen's are not needed.
_SIGNS: Final = ("type", "id", "version", "date", "pathwayStatus", "patientPathwayId", "workflowState", "state")


class NexusError(Unanswered):
    """Nexus answered with something else than what was asked for. Carries statuses and names only."""


class NotForUs(NexusError):  # noqa: N818 - what happened, in three words
    """Nexus shows nothing, or nothing that we may see; status: the answer's, where that said so."""

    def __init__(self, said: str, status: int | None = None) -> None:
        """`said` names what was asked for."""
        self.status = status
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class Access:
    """Where Nexus is, and who asks. The secret stays out of every repr.

    activity_list, view: by the names that the municipality gave them. page: items of a list in one answer.
    pathways: whether pathways are cases too, or grants alone. batch: records after which a page is full.
    """

    root: str
    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    activity_list: str = "Sagsbro"
    view: str = "- Alt"
    pathways: bool = True
    batch: int = 200
    page: int = 100
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Citizen(NamedTuple):
    """One of whom the list shows something; `sign`: a digest of what it shows."""

    number: str
    sign: str


@dataclass(slots=True)
class Batch:
    """Citizens that are sent together. began: when the first was read, and so the time of all their records."""

    began: str
    records: list[Mapping[str, Any]] = field(default_factory=list)
    signs: dict[str, str] = field(default_factory=dict)

    def pages(self, since: Cursor, seen: dict[str, str]) -> Iterator[Page]:
        """What is on its way, then the records themselves; `seen` is brought up to date between the two.

        The first is written before the second is sent: sent again after a crash, a record has the same time and id.
        """
        if not self.signs:
            return
        sending = {"at": self.began, "records": _digest(self.records)}
        before = since.get("sending", {})
        if before.get("records") == sending["records"]:
            sending = before
        yield Page(b"", 0, {"seen": dict(seen), "sending": sending})
        seen |= self.signs
        read = {"readAt": sending["at"]}
        # In the place of what could not be read stands `unread`, which has no other field.
        body = orjson.dumps([{**read, **record} if "patient" in record else record for record in self.records])
        names = list(map(_name, self.records))
        yield Page(body, len(self.records), {"seen": dict(seen), "at": sending["at"]}, names=names)


class NexusPoller:
    """A `Poller`. Cursor: `seen`, citizen -> digest of what the list last showed; `sending`, what may be on its way.

    And `at`: when what was sent last was read. Citizens stand in the cursor by Nexus's own number of them.
    """

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the time limits; it is not to follow redirects, for the token goes along."""
        self._client = client
        self._asker = asker
        self._access = access
        self._token = ""
        self._readings = Readings()
        self._not_shown: Counter[str] = Counter()

    async def aclose(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Pages of citizens of whom something has changed, each citizen as a whole.

        Who may not be seen is asked for again in the next round.
        """
        seen: dict[str, str] = dict(since.get("seen", {}))
        root = await self._read(self._access.root)
        citizens = await self._listed(root)
        changed = {who: citizen for who, citizen in citizens.items() if seen.get(who) != citizen.sign}
        began = self._after(since.get("sending", since).get("at"))
        async for batch in self._batches(root, changed, began):
            began = batch.began
            for page in batch.pages(since, seen):
                yield page
        if gone := seen.keys() - citizens.keys():
            left = {who: sign for who, sign in seen.items() if who not in gone}
            yield Page(b"", 0, {"seen": left, "at": began})

    async def _batches(
        self, root: Mapping[str, Any], citizens: Mapping[str, Citizen], began: str
    ) -> AsyncIterator[Batch]:
        """Full ones, and what is left; also before a failure."""
        batch, before, self._not_shown = Batch(began), self._not_shown, Counter()
        for who, citizen in citizens.items():
            try:
                records = await self._readings.of(f"citizen {who}", partial(self._records, root, citizen.number))
            except Unanswered:
                yield batch
                raise
            if records is None:
                continue
            batch.records += records if isinstance(records, list) else [records]
            batch.signs[who] = citizen.sign
            if len(batch.records) >= self._access.batch:
                yield batch
                batch = Batch(self._after(batch.began))
        yield batch
        if self._not_shown != before:
            _log.warning("citizens listed and not shown: %d %s", self._not_shown.total(), dict(self._not_shown))

    def _after(self, last: str | None) -> str:
        """Nexus's clock, but never ahead of ours: the broker refuses what is registered in the future.

        And never before what was read last: its clock is told in whole seconds, and both can be set back.
        """
        now = self._access.now() + timedelta(seconds=min(self._asker.skew, 0.0))
        return (now if last is None else max(now, datetime.fromisoformat(last) + _TICK)).isoformat()

    async def _listed(self, root: Mapping[str, Any]) -> dict[str, Citizen]:
        """The list's citizens: of all pages, each item once however often it stands there."""
        preferences = await self._follow(root, "preferences")
        shown = _named(preferences.get("ACTIVITY_LIST"), self._access.activity_list)
        details = await self._follow(shown, "self")
        content = f"{self._href(details, 'content')}?pageSize={self._access.page}"
        numbers: dict[str, str] = {}
        signs: dict[str, set[str]] = {}
        for page in await self._read_list(content):
            for item in await self._read_list(self._href(page, "content")):
                who, number = _patient_of(item)
                if number:
                    numbers[who] = number
                    signs.setdefault(who, set()).add(_digest({name: item[name] for name in _SIGNS if name in item}))
        return {who: Citizen(number, _digest(sorted(signs[who]))) for who, number in numbers.items()}

    async def _records(self, root: Mapping[str, Any], number: str) -> list[Mapping[str, Any]] | None:
        """Everything there is to tell of one citizen; None while the citizen may not be seen."""
        try:
            return [record async for record in self._told(root, number)]
        except NotForUs as refused:
            self._not_shown[str(refused)] += 1
            return None

    async def _told(self, root: Mapping[str, Any], number: str) -> AsyncIterator[Mapping[str, Any]]:
        wanted = {"businessKey": number, "keyType": "CPR"}
        answer = await self._json("POST", self._href(root, "patientDetailsSearch"), wanted)
        if not isinstance(answer, dict):
            raise NexusError("a search for a citizen answered with no object")
        if not isinstance(answer.get("patient"), dict) or answer.get("isPatientAccessible") is False:
            raise NotForUs("the search says so")
        patient = await self._follow(answer["patient"], "self")
        preferences = await self._follow(patient, "patientPreferences")
        view = await self._follow(_named(preferences.get("CITIZEN_PATHWAY"), self._access.view), "self")
        tree = await self._read_list(self._href(view, "pathwayReferences"))
        conditions = await self._conditions(patient)
        slim = {"patientIdentifier": patient.get("patientIdentifier")}
        for pathway, node in _nodes(tree):
            record: dict[str, Any] = {"patient": slim, "pathway": pathway}
            if node is pathway and not self._access.pathways:
                continue
            if node is pathway:
                # Conditions belong to the citizen: they stand with the pathways that stand in no other.
                yield record | (conditions if node.get("parentPathwayId") is None else {})
            elif (granted := await self._grant(record, node)) is not None:
                yield granted

    async def _conditions(self, patient: Mapping[str, Any]) -> dict[str, Any]:
        """The citizen's, as part of a record; where they may not be seen nothing is said of them, not that none are."""
        try:
            return {"conditions": await self._read_list(self._href(patient, "patientConditions"))}
        except NotForUs as refused:
            _log.warning("passed over conditions: status %s", refused.status)
            return {}

    async def _grant(self, record: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The record with its grant; None when that is gone since, `unread` when it is not shown."""
        try:
            url = self._href(node, "referencedObject")
        except NotForUs:
            return unread("grant")
        case = f"grant {httpx.URL(url).path.rpartition('/')[2]}"
        return await self._readings.of(case, partial(self._granted, case, url, record))

    async def _granted(self, case: str, url: str, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        try:
            return {**record, "grant": await self._read(url)}
        except NotForUs as refused:
            return unread(case, refused.status) if refused.status == _FORBIDDEN else None

    async def _follow(self, holder: Mapping[str, Any], link: str) -> Mapping[str, Any]:
        return await self._read(self._href(holder, link))

    async def _read(self, url: str) -> Mapping[str, Any]:
        answer = await self._json("GET", url)
        if not isinstance(answer, dict):
            raise NexusError("an object is missing behind a link")
        return answer

    async def _read_list(self, url: str) -> list[Any]:
        answer = await self._json("GET", url)
        if not isinstance(answer, list):
            raise NexusError("a list is missing behind a link")
        return answer

    def _href(self, holder: Mapping[str, Any], link: str) -> str:
        """Where a link leads, as Nexus writes it: whole, or from the root of the same server."""
        links = holder.get("_links")
        found = links.get(link) if isinstance(links, dict) else None
        href = found.get("href") if isinstance(found, dict) else None
        if not isinstance(href, str):
            raise NotForUs(f"no link {link}")
        here, there = httpx.URL(self._access.root), httpx.URL(self._access.root).join(href)
        if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
            # The token goes along with every request.
            raise NexusError(f"the link {link} leads to another server")
        return str(there)

    async def _json(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Any:
        """What is there. Raises NotForUs when there is nothing, or nothing that we may see."""
        for _ in range(_READINGS):
            try:
                return orjson.loads(await self._call(method, url, body))
            except orjson.JSONDecodeError:
                continue
        raise NexusError("an answer that is no JSON")

    async def _call(self, method: str, url: str, body: Mapping[str, Any] | None) -> bytes:
        """One renewal of the token, then no more: a second 401 is a wrong client, not an old token."""
        for renewed in (False, True):
            if not self._token:
                self._token = await self._new_token()
            headers = {"Authorization": f"Bearer {self._token}"}
            send = partial(self._client.request, method, url, json=body, headers=headers)
            response = await self._asker.ask(send)
            if response.status_code == _OK:
                return response.content
            if response.status_code in _NOT_FOR_US:
                raise NotForUs(f"{method} answered {response.status_code}", response.status_code)
            if response.status_code != _UNAUTHORIZED or renewed:
                raise NexusError(f"{method} answered {response.status_code}")
            self._token = ""
        raise NexusError("unreachable")

    async def _new_token(self) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._access.client_id,
            "client_secret": self._access.client_secret,
        }
        response = await self._asker.ask(lambda: self._client.post(self._access.token_url, data=form))
        token = response.json().get("access_token") if response.status_code == _OK else None
        if not isinstance(token, str) or not token:
            raise NexusError(f"no token, status {response.status_code}")
        return token


def _nodes(tree: list[Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each pathway, and each grant with the innermost pathway around it."""
    waiting: list[tuple[Mapping[str, Any] | None, Any]] = [(None, node) for node in reversed(tree)]
    while waiting:
        around, node = waiting.pop()
        if not isinstance(node, dict):
            continue
        if node.get("type") == PATHWAY:
            around = {name: value for name, value in node.items() if name not in ("children", "_links")}
            yield around, around
        elif node.get("type") == GRANT and around is not None:
            yield around, node
        waiting.extend((around, child) for child in reversed(_list(node.get("children"))))


def _name(record: Mapping[str, Any]) -> str:
    """By Nexus's number of the grant, or of the pathway."""
    grant, pathway = record.get("grant"), record.get("pathway")
    if isinstance(grant, dict):
        identifier = grant.get("identifier")
        return f"grant {identifier.get('patientGrantId') if isinstance(identifier, dict) else None}"
    return f"pathway {pathway.get('patientPathwayId') if isinstance(pathway, dict) else None}"


def _named(listed: object, name: str) -> Mapping[str, Any]:
    for one in _list(listed):
        if isinstance(one, dict) and one.get("name") == name:
            return one
    raise NotForUs("no list or view of the configured name")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _patient_of(item: object) -> tuple[str, str]:
    """Nexus's number of the citizen, and the citizen's own, as lists show them."""
    patients = item.get("patients") if isinstance(item, dict) else None
    first = patients[0] if isinstance(patients, list) and patients and isinstance(patients[0], dict) else {}
    identifier = first.get("patientIdentifier")
    number = identifier.get("identifier") if isinstance(identifier, dict) else None
    return str(first.get("id")), number if isinstance(number, str) else ""


def _digest(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def poller(config: Mapping[str, Any]) -> NexusPoller:
    """From the configuration's table: `instance`, `client_id`, `client_secret`.

    Also `activity_list`, `view`, `pathways` (false: grants alone), `batch`, `per_second`; `root` and `token_url` where
    they are not KMD's own.
    """
    instance = str(config["instance"])
    root = config.get("root", f"https://{instance}.nexus.kmd.dk/api/core/mobile/{instance}/v2/")
    token_url = config.get(
        "token_url", f"https://iam.nexus.kmd.dk/authx/realms/{instance}/protocol/openid-connect/token"
    )
    client = httpx.AsyncClient(timeout=60)
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    access = Access(root, token_url, config["client_id"], config["client_secret"])
    names = ("activity_list", "view", "pathways", "batch")
    named: dict[str, Any] = {name: config[name] for name in names if name in config}
    return NexusPoller(client, asker, replace(access, **named))
