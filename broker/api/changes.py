"""Following citizens in an overview, and the stream of what changes, over HTTP."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import Response

from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.event_stream import EventStream
from broker.api.overviews import reader_of, refusal
from broker.api.problems import Problem, unavailable
from broker.domain.policy import POLICY, Overview, Role
from broker.overviews import subscription
from broker.overviews.changes import NotSubscribed, TooOld, follow
from broker.overviews.feed import FeedUnavailableError, ResumeTooOldError, TooManyError
from broker.overviews.place import BrokenPlaceError
from broker.overviews.reading import NotLoggedError
from broker.overviews.request import Text
from broker.overviews.subscription import Refused, SubscriptionRequest, Unfit
from broker.security import Token

router = APIRouter(prefix="/v1", tags=["overviews"], route_class=TokenFirst)
Cored = Annotated[Core, Depends(core_of)]
# Every role may knock: the policy refuses, so that the refusal stands in the access log.
Anyone = Annotated[Token, Depends(require(*Role))]


@router.put("/subscriptions")
async def put_subscription(request: SubscriptionRequest, core: Cored, token: Anyone) -> dict[str, Any]:
    """Follow these citizens in the overview, in the place of those followed there before."""
    overview = _published(request.overview)
    try:
        put = await subscription.put(core, reader_of(token), overview, request, datetime.now(UTC))
    except NotLoggedError:
        raise _unlogged() from None
    match put:
        case Refused(reason):
            raise refusal(reason)
        case Unfit():
            days = subscription.LONGEST.days
            said = f"until must lie in the future, at most {days} days ahead"
            raise Problem(422, "invalid_request", said, pointer="/until")
        case kept:
            return kept


@router.get("/subscriptions")
async def get_subscriptions(core: Cored, token: Anyone) -> list[dict[str, Any]]:
    """What the caller follows now."""
    return await subscription.own(core, reader_of(token))


@router.delete("/subscriptions", status_code=204)
async def delete_subscriptions(
    core: Cored, token: Anyone, overview: Annotated[Text | None, Query(max_length=40)] = None
) -> None:
    """Follow nothing more: in one overview, or in all."""
    await subscription.end(core, reader_of(token), overview)


@router.get("/overviews/{name}/changes", response_class=Response)
async def changes(
    name: str, core: Cored, token: Anyone, last_event_id: Annotated[str | None, Header(max_length=5000)] = None
) -> Response:
    """Server-Sent Events `entry` and `gone` of the citizens followed; from now on, or from Last-Event-ID."""
    overview = _published(name)
    try:
        opened = await follow(core, core.feed, reader_of(token), overview, last_event_id, datetime.now(UTC))
    except NotLoggedError:
        raise _unlogged() from None
    except BrokenPlaceError:
        raise Problem(422, "resume_invalid", "the Last-Event-ID was not given out by this overview") from None
    except ResumeTooOldError:
        raise _too_old() from None
    except FeedUnavailableError:
        raise unavailable("kafka_unavailable", "the topic cannot be read just now; come again") from None
    except TooManyError:
        raise unavailable("busy", "too many streams are open here just now; come again") from None
    match opened:
        case Refused(reason):
            raise refusal(reason)
        case NotSubscribed():
            raise Problem(409, "not_subscribed", "put a subscription to this overview first")
        case TooOld():
            raise _too_old()
        case stream:
            return EventStream(stream, min(token.expires, stream.until))


def _published(name: str) -> Overview:
    overview = POLICY.get(name)
    if overview is None or not overview.published:
        raise Problem(404, "not_found", "there is no such overview to follow")
    return overview


def _unlogged() -> Problem:
    return unavailable("access_log_unavailable", "the read cannot be logged just now, so nothing is read")


def _too_old() -> Problem:
    return Problem(410, "resume_too_old", "what came since cannot be told any more: begin anew, then search")
