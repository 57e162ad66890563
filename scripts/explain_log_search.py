"""What the pages of logs call that the API does not."""

from collections.abc import Callable

from app.authentication import Caller
from app.log_search import search_logs
from app.log_streams import FAILURES, LogSearch
from app.models import WebhookLog
from scripts.explain_call import ADMIN, BUSY, MANAGER, Call
from scripts.explain_owed import DAY_MS


def log_pages(now: int) -> list[Call]:
    """Return what finds logs."""
    some = WebhookLog.select(WebhookLog.event_id).order_by(WebhookLog.id.desc()).offset(500).limit(1).scalar()
    last_week = {"start": now - 9 * DAY_MS, "end": now - 2 * DAY_MS}
    return [
        Call("The newest logs of all webhooks", _search(ADMIN)),
        Call("The logs of a week", _search(ADMIN, **last_week)),
        Call("Failures of all webhooks", _search(ADMIN, status=FAILURES)),
        Call("Failures of all webhooks, of one status", _search(ADMIN, status="FAIL")),
        Call("Logs of all webhooks by trigger", _search(ADMIN, triggered_event="NODE_DELETED")),
        Call("Logs of all webhooks by text", _search(ADMIN, text="/release/19")),
        Call("The newest logs of one webhook", _search(ADMIN, webhook_id=BUSY)),
        Call("Failures of one webhook", _search(ADMIN, webhook_id=BUSY, status=FAILURES)),
        Call("Logs of one webhook by a rare trigger", _search(ADMIN, webhook_id=BUSY, triggered_event="NODE_MOVED")),
        Call("The logs of an event", _search(ADMIN, event_id=some)),
        Call("The newest logs that a user may see", _search(MANAGER)),
        Call("Failures that a user may see", _search(MANAGER, status=FAILURES)),
        Call("The logs of an event that a user may see", _search(MANAGER, event_id=some)),
    ]


def _search(caller: Caller, **wanted: str | int) -> Callable[[], object]:
    return lambda: search_logs(caller, LogSearch(**wanted))  # type: ignore[arg-type]  # of several types
