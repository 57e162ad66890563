"""The newest logs as they come, for those who may see them.

A log's id is stamped with the start of its request, and the log is there when that has ended: a slow one appears among
older ones. So each look goes back over as long as a log can be late, and passes over what it has seen before.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.attempts import LATEST_MS
from app.authentication import Caller
from app.clock import now_ms
from app.database import unavailable
from app.errors import BadRequest, ServiceUnavailable
from app.ids import first_id_at
from app.log_streams import FAILED, LINE
from app.models import ERROR, FAIL, SUCCESS, WebhookLog, database
from app.statistics import Scope, scope_of
from app.webhooks import find_webhook

FAILURES = "failures"
SUCCESSES = "success"
STATUSES = (SUCCESSES, FAILURES)

OVERLAP_MS = LATEST_MS + 5_000  # how far back a look goes; the rest is for clocks that differ
LATE_MS = 15_000  # how long after its end a log may be recorded and still be found by who was away meanwhile
LOOK = 1_000  # ids that one look reads
MOST = 50  # logs that one look gives

INTERVAL_S = 1.0
BEAT_MS = 3_000  # of a reader who is gone, the server knows when it has sent him something
RECHECK_MS = 30_000
LIFE_MS = 300_000
FIRST_MS = 600_000  # how far back the first look goes


@dataclass(frozen=True, slots=True, kw_only=True)
class TailFilter:
    """Which logs; None is for any. `status` is one of STATUSES."""

    webhook_id: str | None = None
    status: str | None = None
    triggered_event: str | None = None


class News(NamedTuple):
    """Logs, the newest first, and how many more there were, at least that where `is_cut`. Whoever reads on after `at`,
    milliseconds UTC, misses none; some may come again."""

    logs: list[WebhookLog]
    passed_over: int
    is_cut: bool
    at: int


class Tail:
    """What is new since the time `since`, at each look. Remembers the ids of what it has seen, 1,000 at most."""

    def __init__(self, wanted: TailFilter, since: int) -> None:
        self._wanted = wanted
        self._since = since
        self._floor = first_id_at(since - OVERLAP_MS)
        self._seen: set[str] | None = None

    def look(self, scope: Scope, now: int) -> News:
        """Return what is new at `now` of the webhooks in `scope`, 50 logs at most. Raises DatabaseUnavailable."""
        ids = _newest_ids(self._wanted, scope, self._floor)
        is_cut = len(ids) == LOOK
        conditions = _filters(self._wanted)
        if self._seen is None:
            conditions.append(WebhookLog.requested_at + WebhookLog.duration_ms >= self._since - LATE_MS)
        seen = self._seen or set()
        fresh = [log_id for log_id in ids if log_id not in seen]
        known = fresh if conditions else fresh[:MOST]
        logs = _logs(known, conditions)
        self._seen = set(ids)
        # Behind what was too much for one look nothing is new any more.
        self._floor = max(ids[-1] if is_cut else self._floor, first_id_at(now - OVERLAP_MS))
        passed_over = len(fresh) - len(known) + len(logs[MOST:])
        return News(logs[:MOST], passed_over, is_cut and passed_over > 0, now)


def scope_for(caller: Caller, wanted: TailFilter) -> Scope:
    """Return the webhooks whose logs `caller` is shown. Raises NotFound for one that he may not manage."""
    if wanted.webhook_id is None:
        return scope_of(caller)
    return Scope((find_webhook(caller, wanted.webhook_id, with_deleted=True).id,))


def follow(tail: Tail, scope: Callable[[], Scope], wait: Callable[[float], bool]) -> Iterator[News | None]:
    """Yield what is new, looking once a second; None where there was nothing for 3 seconds.

    It ends after five minutes, where the database is away, where `wait`, which waits so many seconds, returns true,
    and where `scope` raises BadRequest: it is asked twice a minute what may be shown still.
    """
    begun = checked = told = now_ms()
    try:
        shown = scope()
        while True:
            now = now_ms()
            news = tail.look(shown, now)
            if news.logs or now - told >= BEAT_MS:
                yield news if news.logs else None
                told = now
            if now - begun >= LIFE_MS or wait(INTERVAL_S):
                return
            if now - checked >= RECHECK_MS:
                shown, checked = scope(), now
    except (BadRequest, ServiceUnavailable):
        return


def _newest_ids(wanted: TailFilter, scope: Scope, floor: str) -> list[str]:
    """Return the newest ids after `floor`, newest first. Of failures alone where an index has them, since those that
    took long are far behind the newest successes."""
    conditions = [WebhookLog.id > floor, *scope.holds(WebhookLog.webhook_id)]
    if wanted.status == FAILURES and scope.ids is not None:
        conditions += [WebhookLog.status.in_((FAIL, ERROR)), FAILED]
    elif wanted.status == FAILURES and database.has_partial_indexes:
        conditions.append(FAILED)
    query = WebhookLog.select(WebhookLog.id).where(*conditions).order_by(WebhookLog.id.desc()).limit(LOOK)
    with unavailable():
        return [log_id for (log_id,) in query.tuples()]


def _filters(wanted: TailFilter) -> list[Any]:
    conditions = []
    if wanted.status is not None:
        conditions.append(WebhookLog.status == SUCCESS if wanted.status == SUCCESSES else WebhookLog.status != SUCCESS)
    if wanted.triggered_event is not None:
        conditions.append(WebhookLog.triggered_event == wanted.triggered_event)
    return conditions


def _logs(ids: list[str], conditions: list[Any]) -> list[WebhookLog]:
    if not ids:
        return []
    query = WebhookLog.select(*LINE).where(WebhookLog.id.in_(ids), *conditions).order_by(WebhookLog.id.desc())
    with unavailable():
        return list(query)
