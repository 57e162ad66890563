"""The live tail: logs as they come, sent to the page as server-sent events (HTML standard §9.2)."""

import re
from collections.abc import Iterator
from functools import partial
from typing import cast

from flask import Response, render_template, request, stream_with_context
from flask_login import current_user

from app.api.context import caller, context, services
from app.authentication import Caller
from app.clock import now_ms
from app.errors import Forbidden
from app.fields import one_of
from app.log_tail import FIRST_MS, STATUSES, News, Tail, TailFilter, follow, scope_for
from app.permissions import FORBIDDEN
from app.query_fields import event_type_of
from app.readers import RETRY_AFTER_S, Place
from app.sse import message
from app.statistics import Scope
from app.ui.pages import page
from app.ui.section import section
from app.ui.session import Account, load_account
from app.ui.webhook_choice import webhook_choice
from app.webhooks import find_webhook, trigger_types

AT = "Hookline-At"  # the header that says from when on a page reads on

tail = section("tail", __name__, "/tail")


@tail.get("")
def show() -> Response:
    """Show the newest logs; the page goes on by itself."""
    wanted, now = _wanted(), now_ms()
    scope = scope_for(caller(), wanted)
    chosen = None if wanted.webhook_id is None else find_webhook(caller(), wanted.webhook_id, with_deleted=True)
    return page(
        "tail/show.html",
        news=Tail(wanted, now - FIRST_MS).look(scope, now)._replace(passed_over=0),
        wanted=wanted,
        is_cut=scope.is_cut,
        types=sorted(trigger_types(services().settings)),
        choice=webhook_choice(chosen),
    )


@tail.get("/rows")
def rows() -> Response:
    """Send what is new once, for pages that can't be kept up to date otherwise."""
    wanted, now = _wanted(), now_ms()
    news = Tail(wanted, _since(now)).look(scope_for(caller(), wanted), now)
    answer = Response(render_template("tail/rows.html", news=news))
    answer.headers[AT] = str(news.at)
    return answer


@tail.get("/stream")
def stream() -> Response:
    """Send what is new as it comes, while there is a place for another reader."""
    wanted, since = _wanted(), _since(now_ms())
    scope_for(caller(), wanted)
    # Of an answer to HEAD, nobody would ever hear that it has ended.
    place = context().readers.enter() if request.method == "GET" else None
    if place is None:
        return Response(status=503, headers={"Retry-After": str(RETRY_AFTER_S)})
    return _streamed(place, Tail(wanted, since), wanted)


def _streamed(place: Place, reading: Tail, wanted: TailFilter) -> Response:
    following = follow(reading, partial(_scope_now, wanted, current_user.get_id()), context().readers.wait)
    # Proxies that wait for the end of an answer are asked not to.
    headers = {"X-Accel-Buffering": "no"}
    answer = Response(stream_with_context(_messages(following)), mimetype="text/event-stream", headers=headers)
    answer.call_on_close(place.leave)
    return answer


def _messages(following: Iterator[News | None]) -> Iterator[str]:
    yield message("beat", now_ms())  # the headers go out with it
    for news in following:
        if news is None:
            yield message("beat", now_ms())
        else:
            yield message("logs", news.at, render_template("tail/rows.html", news=news))


def _scope_now(wanted: TailFilter, kept: str) -> Scope:
    """Return what the session may see by now. Raises BadRequest where that is nothing."""
    return scope_for(_still_there(kept), wanted)


def _still_there(kept: str) -> Caller:
    account = cast(Account | None, load_account(kept))
    if account is None:
        raise Forbidden(FORBIDDEN, "credentials_wrong")
    return account.caller


def _wanted() -> TailFilter:
    given = {name: value for name, value in request.args.items() if value}
    return TailFilter(
        webhook_id=given.get("webhook"),
        status=one_of("status", given["status"], STATUSES) if "status" in given else None,
        triggered_event=event_type_of(given, "trigger", trigger_types(services().settings)),
    )


def _since(now: int) -> int:
    """Return from when on the reader wants what is new: what it had last, else now."""
    said = request.headers.get("Last-Event-ID") or request.args.get("after", "")
    return min(int(said), now) if re.fullmatch("[0-9]{1,15}", said) else now
