"""Which logs are wanted, and the indexes that lead to them.

What an index gives in the order of ids is a stream: the logs of a webhook, its failures by status, all logs, all
failures, an event's. What no index serves is left for whoever reads them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Any, NamedTuple

from peewee import SQL

from app.authentication import Caller
from app.ids import first_id_at
from app.log_counts import with_status
from app.logs import holds_text
from app.models import ERROR, FAIL, SUCCESS, Webhook, WebhookLog, database
from app.permissions import PROJECT, REPO, visible

AFTER_ALL = "g"  # an id that comes after all others
FAILURES = "failures"  # FAIL and ERROR
STATUSES = (FAILURES, SUCCESS, FAIL, ERROR)

_AT_ONCE = 200  # webhooks that one query looks at
FAILED = SQL("status <> 'SUCCESS'")  # as it stands in the indexes of failures
# What a list shows of a log: nothing of what was sent and answered.
LINE = (
    *(WebhookLog.id, WebhookLog.webhook_id, WebhookLog.event_id, WebhookLog.delivery_id, WebhookLog.attempt),
    *(WebhookLog.url, WebhookLog.triggered_event, WebhookLog.status, WebhookLog.response_status),
    *(WebhookLog.duration_ms, WebhookLog.requested_at, WebhookLog.error, WebhookLog.next_attempt_at),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSearch:
    """Which logs; None is for any. Times are milliseconds UTC, both ends belong to the range."""

    webhook_id: str | None = None
    start: int | None = None
    end: int | None = None
    status: str | None = None  # one of STATUSES
    triggered_event: str | None = None
    event_id: str | None = None
    delivery_id: str | None = None
    text: str | None = None  # in the payload or the answer's body

    def span(self, before: str) -> "Span":
        """Return the ids that the range has, before the id `before`."""
        first = "" if self.start is None else first_id_at(self.start)
        return Span(first, before if self.end is None else min(before, first_id_at(self.end + 1)))


class Span(NamedTuple):
    """Ids from `first` up to `end`, which is left out."""

    first: str
    end: str

    def conditions(self) -> list[Any]:
        """Return the conditions that a log's id is among them."""
        return [WebhookLog.id < self.end, *([WebhookLog.id >= self.first] if self.first else [])]


class Stream(NamedTuple):
    """Logs in the order of one index. None of them is newer than the id `newest`."""

    conditions: list[Any]
    newest: str = AFTER_ALL

    def ids(self, span: Span, *more: Any) -> Any:
        """Return the query for the ids of those in `span` that fulfil the conditions `more` too, newest first."""
        conditions = (*self.conditions, *span.conditions(), *more)
        return WebhookLog.select(WebhookLog.id).where(*conditions).order_by(WebhookLog.id.desc())


class Plan(NamedTuple):
    """Streams, those with the newest logs first; what else a log must fulfil; the id down to which these streams are
    all there is."""

    streams: list[Stream]
    rest: list[Any]
    bound: str = ""


def plan(caller: Caller, wanted: LogSearch, span: Span, size: int) -> Plan:
    """Return how to find the newest `size` logs of those in `span` that `wanted` describes and `caller` may see.

    The caller may see `wanted.webhook_id`.
    """
    if wanted.event_id is not None:
        rest = [*_shown(caller, wanted), *_of_status(wanted.status), *_filters(wanted)]
        return Plan([Stream([WebhookLog.event_id == wanted.event_id])], rest)
    if wanted.webhook_id is None and caller.admin:
        return _of_all(wanted)
    rest = [*(_of_status(SUCCESS) if wanted.status == SUCCESS else []), *_filters(wanted)]
    if wanted.webhook_id is not None:
        return Plan([Stream(_of_one(wanted.webhook_id, each)) for each in _indexed(wanted.status)], rest)
    # The newest logs are among those of the webhooks that have the newest.
    streams = nlargest(size + 1, _streams_of(caller, wanted.status, span), key=lambda stream: stream.newest)
    return Plan(streams[:size], rest, streams[size - 1].newest if len(streams) > size else "")


def _of_all(wanted: LogSearch) -> Plan:
    if wanted.status in {None, SUCCESS} or not database.has_partial_indexes:
        return Plan([Stream([])], [*_of_status(wanted.status), *_filters(wanted)])
    one = [] if wanted.status == FAILURES else _of_status(wanted.status)
    return Plan([Stream([FAILED])], [*one, *_filters(wanted)])


def _shown(caller: Caller, wanted: LogSearch) -> list[Any]:
    if wanted.webhook_id is not None:
        return [WebhookLog.webhook_id == wanted.webhook_id]
    return [] if caller.admin else [WebhookLog.webhook_id.in_(Webhook.select(Webhook.id).where(_seen_by(caller)))]


def _seen_by(caller: Caller) -> Any:
    """Return the condition that a webhook, deleted or not, is one `caller`, no administrator, may manage."""
    return visible(caller, PROJECT) | visible(caller, REPO)


def _streams_of(caller: Caller, status: str | None, span: Span) -> Iterator[Stream]:
    """Yield the streams of the caller's webhooks that have a log in `span`, each with the newest."""
    seen = [webhook_id for (webhook_id,) in Webhook.select(Webhook.id).where(_seen_by(caller)).tuples()]
    for each in _indexed(status):
        for start in range(0, len(seen), _AT_ONCE):
            for log_id, webhook_id in _newest_of(seen[start : start + _AT_ONCE], each, span):
                yield Stream(_of_one(webhook_id, each), log_id)


def _newest_of(webhook_ids: Sequence[str], status: str | None, span: Span) -> list[tuple[str, str]]:
    """Return the newest log of each webhook that has one, and the webhook.

    Each is a query of its own, with the webhook as a constant, in one statement: what takes all webhooks together is
    planned for the average one, and reads every log of those that have many.
    """
    query = Stream(_of_one("", status)).ids(span).select_extend(WebhookLog.webhook_id).limit(1)
    sql, (_, *others) = query.sql()
    parts = " UNION ALL ".join([f"SELECT * FROM ({sql}) AS newest"] * len(webhook_ids))
    parameters = [value for webhook_id in webhook_ids for value in (webhook_id, *others)]
    return list(database.execute_sql(parts, parameters).fetchall())


def _indexed(status: str | None) -> tuple[str | None, ...]:
    """Return by which statuses the indexes find what has `status`; None is for any."""
    return (FAIL, ERROR) if status == FAILURES else (None,) if status == SUCCESS else (status,)


def _of_one(webhook_id: Any, status: str | None) -> list[Any]:
    return [WebhookLog.webhook_id == webhook_id, *(with_status(status) if status else [])]


def _of_status(status: str | None) -> list[Any]:
    if status is None:
        return []
    return [FAILED] if status == FAILURES else [WebhookLog.status == status]


def _filters(wanted: LogSearch) -> list[Any]:
    conditions = []
    if wanted.triggered_event is not None:
        conditions.append(WebhookLog.triggered_event == wanted.triggered_event)
    if wanted.delivery_id is not None:
        conditions.append(WebhookLog.delivery_id == wanted.delivery_id)
    if wanted.text is not None:
        conditions.append(holds_text(wanted.text))
    return conditions
