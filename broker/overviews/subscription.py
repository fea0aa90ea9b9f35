"""Following citizens in an overview: what may be asked for, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from broker.domain.policy import Overview, Query, Reader, Reason, refused
from broker.overviews.reading import Core, Read, note
from broker.overviews.request import Moment, Strict, Text, cpr
from broker.overviews.shown import text
from broker.store import subscriptions
from broker.store.subscriptions import Follower, Subscription
from broker.store.text import storable

MOST_CITIZENS: Final = 500
LONGEST: Final = timedelta(days=90)


class SubscriptionRequest(Strict):
    """Whom to follow in one overview, why and until when. `until` is judged when it is put."""

    overview: Annotated[Text, Field(max_length=40)]
    citizens: Annotated[
        list[Annotated[str, AfterValidator(cpr)]], Field(min_length=1, max_length=MOST_CITIZENS, repr=False)
    ]
    purpose: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), AfterValidator(storable)
    ]
    effort_id: UUID | None = None
    until: Moment


@dataclass(frozen=True, slots=True)
class Unfit:
    """Not in the future, or too far in it."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This reader may not ask this overview at all."""

    reason: Reason


async def put(
    core: Core, reader: Reader, overview: Overview, request: SubscriptionRequest, at: datetime
) -> dict[str, Any] | Refused | Unfit:
    """Replace the reader's subscription to the overview. Raises NotLoggedError."""
    effort = None if request.effort_id is None else str(request.effort_id)
    asked = Query(overview.name, reader, purpose=request.purpose, effort_id=effort)
    if (reason := refused(overview, asked)) is not None:
        return await refuse(core, reader, overview, request.purpose, reason)
    if not at < request.until <= at + LONGEST:
        return Unfit()
    said = request.model_dump(exclude={"overview"}) | {
        "citizens": sorted(set(request.citizens)),
        "authorities": sorted(reader.authorities),
    }
    who = follower(reader)
    async with core.pool.connection() as connection, connection.transaction():
        await subscriptions.put(connection, who, overview.name, said)
        (kept,) = await subscriptions.listed(connection, who, overview.name)
    return told(kept)


async def refuse(core: Core, reader: Reader, overview: Overview, purpose: str | None, reason: Reason) -> Refused:
    """A refusal, written down. Raises NotLoggedError."""
    async with core.pool.connection() as connection:
        await note(connection, Query(overview.name, reader), Read(purpose, None, str(reason), ()))
    return Refused(reason)


async def own(core: Core, reader: Reader) -> list[dict[str, Any]]:
    """What the reader follows now."""
    async with core.pool.connection() as connection:
        return [told(each) for each in await subscriptions.listed(connection, follower(reader))]


async def end(core: Core, reader: Reader, overview: str | None) -> None:
    """Follow nothing more in one overview, or in all."""
    async with core.pool.connection() as connection:
        await subscriptions.end(connection, follower(reader), overview)


def follower(reader: Reader) -> Follower:
    """Whose subscription it is."""
    return Follower(reader.subject, reader.client)


def told(subscription: Subscription) -> dict[str, Any]:
    """As the contract has it."""
    effort = subscription.effort_id
    return {
        "overview": subscription.overview,
        "citizens": subscription.citizens,
        "purpose": subscription.purpose,
        "effort_id": None if effort is None else str(effort),
        "until": text(subscription.until),
    }
