"""The stream of a webhook's requests as server-sent events, for those who hand them on themselves."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial

import msgspec
from flask import Blueprint, Response, request

from app.api.context import authenticate, caller, context, credentials, services
from app.api.envelope import ok
from app.api.params import query_parameters
from app.authentication import TOO_MANY, Authenticator, Credentials
from app.clock import now_ms
from app.dates import to_iso
from app.errors import Forbidden, TooManyRequests
from app.event_backlog import Backlog, Place
from app.event_stream import READY, Message, follow
from app.permissions import FORBIDDEN
from app.query_fields import cursor_of, cursor_text, date_of
from app.readers import RETRY_AFTER_S
from app.services import Services
from app.sse import message
from app.stream_target import PARAMETERS, Target, secret_of, target_of
from config.settings import parse_duration_ms

RETRY = "retry: 1000\n\n"  # milliseconds for the reader to wait before he comes back

log = logging.getLogger(__name__)

LAST = "Last-Event-ID"

_WHEN = "[0-9]{1,15}"

event_stream = Blueprint("event_stream", __name__, url_prefix="/webhook/api/event/stream")
event_stream.before_request(authenticate)


@event_stream.get("")
def stream() -> Response:
    """Send the requests of a webhook, one that there is or one that the caller makes up, as they come."""
    given = query_parameters((*PARAMETERS, "since"))
    triggers = [name for part in request.args.getlist("triggers") for name in part.split(",") if name]
    target = partial(_target, services(), context().authenticator, credentials(), given, triggers)
    meant = target()
    backlog = _backlog(given, now_ms())
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # nor are proxies to wait for the end
    if request.method == "HEAD":
        return Response(mimetype="text/event-stream", headers=headers)
    place = context().readers.enter()
    if place is None:
        raise TooManyRequests(TOO_MANY, "too_many_streams", retry_after=RETRY_AFTER_S)
    log.info("user=%s listens as %s", caller().user_id, meant.name)
    settings = services().settings
    begin = Message(READY, {"since": to_iso(backlog.floor, settings.timezone)}, backlog.resume_from())
    following = follow(backlog, target, context().readers.wait, settings)
    answer = Response(_messages(begin, following, backlog.floor), mimetype="text/event-stream", headers=headers)
    answer.call_on_close(place.leave)
    return answer


@event_stream.get("/secret")
def secret() -> Response:
    """Show what signs the webhooks that the caller makes up."""
    user_id = caller().user_id
    if user_id is None:
        raise Forbidden(FORBIDDEN, "stream_nobody")
    return ok({"secret": secret_of(services().vault, user_id)})


def _target(
    known: Services, authenticator: Authenticator, who: Credentials, given: Mapping[str, str], triggers: Sequence[str]
) -> Target:
    """Return what is asked for, by what its caller may by now."""
    return target_of(known, authenticator.authenticate(who, now_ms()), given, triggers)


def _backlog(given: Mapping[str, str], now: int) -> Backlog:
    said = {LAST: request.headers[LAST]} if request.headers.get(LAST) else {}
    if (position := cursor_of(said, _WHEN, _WHEN, ".*", field=LAST)) is not None:
        floor, at, event_id = position
        return Backlog(int(floor), Place(int(at), event_id))
    return Backlog(min(_since(given, now), now))


def _since(given: Mapping[str, str], now: int) -> int:
    """Return the time that `since` names: a date-time, or how long ago, such as `10m`."""
    with suppress(ValueError):
        return now - parse_duration_ms(given.get("since", ""))
    since = date_of(given, "since", services().settings.timezone)
    return now if since is None else since


def _messages(begin: Message, following: Iterator[Message], floor: int) -> Iterator[str]:
    yield RETRY + _written(begin, floor)
    for told in following:
        yield _written(told, floor)


def _written(told: Message, floor: int) -> str:
    text = "" if told.data is None else msgspec.json.encode(told.data).decode()
    return message(told.name, cursor_text(str(floor), str(told.following.at), told.following.event_id), text)
