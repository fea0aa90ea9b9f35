"""The demo's course: onboard, stream, wait until every payload is accounted for, say where to look, go on gently."""

import asyncio
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import httpx

from broker.security import Issuer
from broker.settings import Settings
from broker.stream.topics import OVERVIEWS
from ops.demo import asking, landscape
from ops.demo.account import Account, Delivery
from ops.demo.expected import Expected
from ops.demo.following import follow
from ops.demo.gauges import Gauges, Reading
from ops.demo.mix import stream
from ops.demo.onboarding import bearer, employee_token, onboard, vendor_tokens
from ops.demo.sample import Sender, Sending
from ops.demo.sending import Lanes
from ops.demo.settling import Settler
from ops.demo.telling import Sample as SearchSample
from ops.demo.telling import Teller
from ops.demo.topic import live_keys
from ops.embedded.errors import EmbeddedError
from ops.embedded.instance import Ready

PACE: Final = 50  # events a second once the first ones are through
_AT_A_TIME: Final = 2_000
_PATIENCE_S: Final = 90.0  # without any movement
_LOOK_S: Final = 0.5
_CANDIDATES: Final = 5
_MARGIN: Final = timedelta(minutes=2)  # nothing of the demo is registered in the future


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the demo is asked to do."""

    events: int
    seed: int
    once: bool


class Demo:
    """One course over a running instance."""

    def __init__(self, ready: Ready, settings: Settings, wanted: Wanted, teller: Teller) -> None:
        """Nothing is sent yet."""
        self.flawed = False
        self._api = str(ready.api)
        self._metrics = ready.metrics
        self._settings = settings
        self._wanted = wanted
        self._tell = teller
        self._issuer = Issuer(settings)
        self._account = Account()
        self._expected = Expected()
        self._gauges = Gauges(settings, ready.metrics)
        self._reading: Reading | None = None

    async def run(self) -> None:
        """Set `flawed` unless everything is accounted for. Raises EmbeddedError."""
        limits = httpx.Limits(max_keepalive_connections=16)
        async with httpx.AsyncClient(base_url=self._api, timeout=30, trust_env=False, limits=limits) as http:
            self._tell.line("Onboarding six municipalities, and the agreements of 92 others, for /coverage ...")
            await onboard(http, self._issuer)
            await landscape.onboard(http, self._issuer, datetime.now(UTC).date())
            tokens = vendor_tokens(self._issuer)
            settler = Settler(http, tokens, self._account)
            lanes = Lanes(http, tokens, lambda delivery: self._delivered(settler, delivery))
            work = self._course(http, lanes, settler, tokens)
            await _beside(work, lanes.run(), settler.run())

    def _delivered(self, settler: Settler, delivery: Delivery) -> None:
        self._account.delivered(delivery)
        settler.open.put_nowait(delivery)

    async def _course(
        self, http: httpx.AsyncClient, lanes: Lanes, settler: Settler, tokens: Mapping[Sender, str]
    ) -> None:
        self._tell.line(
            f"Sending {self._wanted.events:,} events of their systems, good ones and bad ones; one system is asked ..."
        )
        started = time.monotonic()
        with self._tell.progress(self._wanted.events):
            watching = asyncio.create_task(self._watch(started))
            try:
                asked = asking.cases(self._wanted.seed, self._wanted.events, datetime.now(UTC) - _MARGIN)
                await self._send(lanes, len(asked))
                await self._ask(http, settler, tokens[asking.SENDER], asked)
                settled = await settler.finished(_PATIENCE_S)
                seconds = time.monotonic() - started
                flaws = [] if settled else [f"nothing was decided for {_PATIENCE_S:g} s"]
                flaws += await self._flaws()
            finally:
                watching.cancel()
        await self._conclude(http, flaws, seconds)
        self.flawed = bool(flaws)
        if not self._wanted.once:
            await self._go_on(lanes)

    async def _send(self, lanes: Lanes, asked: int) -> None:
        end = datetime.now(UTC) - _MARGIN
        for sending in stream(self._wanted.seed, self._wanted.events - asked, end, asked):
            self._expected.note(sending)
            await self._put(lanes, sending)
        await lanes.flush()

    async def _ask(self, http: httpx.AsyncClient, settler: Settler, token: str, asked: Sequence[Sending]) -> None:
        """What a poller fetches, once all that is sent has been taken in."""
        for sending in asked:
            self._expected.note(sending)
        self._account.sent[asking.SENDER] += len(asked)
        async for delivery in asking.ask(http, token, asked):
            self._delivered(settler, delivery)

    async def _put(self, lanes: Lanes, sending: Sending) -> None:
        self._account.sent[sending.sender] += len(sending.expect)
        await lanes.put(sending)

    async def _flaws(self) -> list[str]:
        """What is not as it should be, once all have been sent."""
        flaws = list(self._account.surprises)
        if self._account.undecided:
            flaws.append(f"{self._account.undecided} events have no verdict")
        if not await self._at_rest():
            return [*flaws, f"the projection or the publication does not come to rest: {self._reading}"]
        published = await asyncio.to_thread(live_keys, self._settings, OVERVIEWS["sapa"])
        if published != self._expected.cases:
            flaws.append(f"{OVERVIEWS['sapa'].name} shows {published} cases, expected {self._expected.cases}")
        return flaws

    async def _at_rest(self) -> bool:
        """Wait until nothing is under way; the last look may be old, so there is a new one."""
        best, since = -1, time.monotonic()
        while True:
            self._reading = reading = await asyncio.to_thread(self._gauges.read)
            if reading is not None and reading.at_rest:
                return True
            now = -1 if reading is None else reading.lag + reading.outbox
            if best < 0 or 0 <= now < best:
                best, since = now, time.monotonic()
            if time.monotonic() - since > _PATIENCE_S:
                return False
            await asyncio.sleep(_LOOK_S / 5)

    async def _conclude(self, http: httpx.AsyncClient, flaws: list[str], seconds: float) -> None:
        self._tell.table(self._account)
        self._tell.balance(self._account, seconds, self._reading)
        self._tell.missing(flaws)
        self._tell.codes(self._account)
        self._tell.rejections(self._account)
        sample = await self._sample(http)
        changes = None if sample is None else await follow(http, sample.token, sample.citizen, self._wanted.seed + 1)
        self._tell.look(self._api, sample, changes, () if self._wanted.once else self._metrics[1:])
        self._tell.summary(self._account, seconds)

    async def _sample(self, http: httpx.AsyncClient) -> SearchSample | None:
        """A search that finds something, tried."""
        path, token = "/v1/overviews/sapa/search", await asyncio.to_thread(employee_token, self._issuer)
        for citizen in self._expected.citizens(_CANDIDATES):
            sample = SearchSample(f"{self._api}{path}", token, citizen, 0)
            answer = await http.post(path, json=sample.body, headers=bearer(token))
            if answer.is_error:
                raise EmbeddedError(f"a caseworker's search was answered {answer.status_code}")
            if found := len(answer.json()["entries"]):
                return SearchSample(sample.url, token, citizen, found)
        return None

    async def _go_on(self, lanes: Lanes) -> None:
        """Stream until cancelled."""
        self._tell.streaming(PACE)
        with self._tell.progress(None):
            watching = asyncio.create_task(self._watch(time.monotonic()))
            try:
                for number, sending in enumerate(_for_ever(self._wanted.seed), 1):
                    await self._put(lanes, sending)
                    if number % PACE == 0:
                        await lanes.flush()
                        await asyncio.sleep(1)
            finally:
                watching.cancel()

    async def _watch(self, started: float) -> None:
        """Keep the progress bar up to date."""
        before = self._account.sent.total()
        while self._tell.watched:
            self._reading = await asyncio.to_thread(self._gauges.read)
            sent = self._account.sent.total() - before
            self._tell.moved(self._account, sent / (time.monotonic() - started), self._reading)
            await asyncio.sleep(_LOOK_S)


def _for_ever(seed: int) -> Iterator[Sending]:
    """Other cases each time, the last of them registered just now."""
    for number in count(1):
        yield from stream(seed + number, _AT_A_TIME, datetime.now(UTC) - _MARGIN)


async def _beside(work: Coroutine[None, None, None], *helpers: Coroutine[None, None, None]) -> None:
    """Do the work; a helper that fails ends it. Nothing is left running."""
    tasks = [asyncio.create_task(coroutine) for coroutine in (work, *helpers)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
    except* EmbeddedError as errors:
        raise errors.exceptions[0] from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
