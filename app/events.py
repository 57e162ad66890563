"""An event comes in: match it, make it and its deliveries durable in one transaction, then hint at them.

The outbox pattern: once `publish` has returned, nothing that only the queue knows matters.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from peewee import IntegrityError

from app import log_lines, metrics, models, outbox, tracing
from app.database import insert_rows, repeat_on_conflict, unavailable, write_together, write_transaction
from app.engines import Guard
from app.errors import DatabaseUnavailable, Outdated
from app.event_types import Event
from app.filters import Payload
from app.group_commit import GroupCommit
from app.ids import new_id
from app.log_lines import IngestionLine, ingestion_line
from app.matching import WebhookIndex, is_skipped
from app.origin import UNKNOWN, Origin
from app.owing import Owing, Subject
from app.payloads import PayloadError, encode_payload, payload_of, raw_event
from app.queue import Broker
from app.registry import VERSION_SQL, Registry, current_version
from app.tracing import Publishing
from app.users import UserCache
from config.settings import Settings

log = logging.getLogger(__name__)

# Parameters in one statement: SQLite takes 32,766, the others more.
_CHUNK = 10_000

Row = tuple[Any, ...]


@dataclass(slots=True)
class Published:
    """What became of a call: every event is either accepted or a duplicate of one accepted before."""

    accepted: int
    duplicates: int
    matched: int  # deliveries made
    event_ids: list[str]  # one for each event of the call, in its order


@dataclass(slots=True)
class _Call:
    """One call of `publish`."""

    events: Sequence[Event]
    ids: list[str]
    now: int
    origin: Origin
    traces: Publishing
    began: float = field(default_factory=time.perf_counter)


class Publisher:
    """Accepts events. Calls that meet share a commit."""

    def __init__(self, registry: Registry, broker: Broker, settings: Settings) -> None:
        self._registry = registry
        self._broker = broker
        self._skip = settings.skip_project_repo
        self._users = UserCache(settings.timezone)
        self._commit = GroupCommit[_Call, Published](self._accept)

    def publish(self, events: Sequence[Event], now: int, origin: Origin = UNKNOWN) -> Published:
        """Accept `events`, all or none; when it returns, they and their deliveries are durable.

        An event whose id was accepted before is a duplicate: it is not delivered again. Events that
        SKIP_PROJECT_REPO drops count as accepted and match nothing. Raises DatabaseUnavailable; then none is accepted.
        """
        ids = [event.event_id or new_id() for event in events]
        traces = tracing.publishing(events, origin)
        try:
            published = self._commit.submit(_Call(events, ids, now, origin, traces))
        except BaseException as error:
            traces.failed(error)
            raise
        traces.ended(published.accepted, published.duplicates, published.matched)
        return published

    def _accept(self, calls: Sequence[_Call]) -> tuple[list[Published], Callable[[], object]]:
        try:
            plan, results = self._commit_plan(calls)
        except IntegrityError:
            # Another process accepted one of these ids after we had looked; now it is known.
            plan, results = self._commit_plan(calls)
        metrics.published(results)
        return results, partial(self._finish, plan.owing.hints, _lines(calls, results))

    def _finish(self, delivery_ids: Sequence[str], lines: Sequence[IngestionLine]) -> None:
        """Enqueue what is committed. Whatever comes of it, the events are accepted: the sweeper makes up for it."""
        log_lines.ingested(lines)
        try:
            outbox.enqueue(self._broker, delivery_ids)
        except DatabaseUnavailable as error:
            log.error("deliveries=%d are taken for enqueued, and are not: %s", len(delivery_ids), error)

    @repeat_on_conflict
    def _commit_plan(self, calls: Sequence[_Call]) -> "tuple[_Plan, list[Published]]":
        """Match by what is known of the webhooks, and have the commit find out whether that is still so.

        To ask first would be a round trip more, for an answer that is nearly always no news.
        """
        index, version = self._registry.known()
        while True:
            plan, results = self._plan(calls, index, version)
            try:
                plan.write(version)
            except Outdated:
                index, version = self._registry.refreshed()
            else:
                return plan, results

    def _plan(self, calls: Sequence[_Call], index: WebhookIndex, version: int) -> "tuple[_Plan, list[Published]]":
        users = self._users.describe({event.user_id or "" for call in calls for event in call.events}, version)
        with unavailable():
            known = _known_ids(event.event_id for call in calls for event in call.events)
        plan = _Plan(index, users, known, self._skip, now=calls[-1].now)
        return plan, [plan.add(call) for call in calls]


class _Plan:
    """The rows that one commit inserts."""

    def __init__(
        self,
        index: WebhookIndex,
        users: Mapping[str, Mapping[str, Any]],
        known: set[str],
        skip: tuple[str, ...],
        *,
        now: int,
    ) -> None:
        self._index = index
        self._users = users
        self._known = known
        self._skip = skip
        self.events: list[Row] = []
        self.owing = Owing(now, hinted=True)

    def write(self, version: int) -> None:
        """Commit the rows. Raises Outdated where the webhooks are no longer those of `version`."""
        if not self.owing.is_ordered:
            rows = (models.Event, self.events), (models.Delivery, self.owing.rows)
            write_together(rows, guard=Guard(VERSION_SQL, version))
            return
        with write_transaction():
            insert_rows(models.Event, self.events)
            self.owing.insert()
            if current_version() != version:
                raise Outdated

    def add(self, call: _Call) -> Published:
        """Add what `call` needs, and return what becomes of it."""
        result = Published(0, 0, 0, call.ids)
        for event, event_id in zip(call.events, call.ids, strict=True):
            if event_id in self._known:
                result.duplicates += 1
                continue
            self._known.add(event_id)
            result.accepted += 1
            if not is_skipped(event, self._skip):
                built = _built(event, self._users.get(event.user_id or ""))
                traceparent = call.traces.traceparent_of(event)
                self.events.append(_event_row(event, event_id, built, call.now, traceparent=traceparent))
                result.matched += self._match(event, event_id, built.payload)
        return result

    def _match(self, event: Event, event_id: str, payload: Payload) -> int:
        webhooks = self._index.match(event, payload)
        if webhooks:
            subject = Subject(event_id, event.project_id, event.repo_name, event.resource_key)
            for webhook in webhooks:
                self.owing.add(webhook, subject)
        return len(webhooks)


def _lines(calls: Sequence[_Call], results: Sequence[Published]) -> list[IngestionLine]:
    """Return what the log says of calls that are committed; nothing where it wants nothing."""
    if not log_lines.wants_ingestions():
        return []
    now = time.perf_counter()
    return [
        ingestion_line(call.origin, len(call.events), result, now - call.began)
        for call, result in zip(calls, results, strict=True)
    ]


class _Built(NamedTuple):
    """What receivers get of an event, as an object and as JSON; or the raw event, and why it could not be built."""

    payload: Payload
    text: str
    error: str | None = None


def _built(event: Event, user: Mapping[str, Any] | None) -> _Built:
    try:
        payload = payload_of(event, user)
        return _Built(payload, encode_payload(payload).decode())
    except PayloadError as reason:
        return _Built(None, raw_event(event).decode(), str(reason))


def _event_row(event: Event, event_id: str, built: _Built, now: int, *, traceparent: str | None) -> Row:
    """Return the row of an event, in the order of the model's fields."""
    return (
        event_id,
        event.type,
        event.project_id,
        event.repo_name,
        event.resource_key,
        event.user_id,
        event.source,
        built.text,
        built.error,
        now,
        traceparent,
    )


def _known_ids(given: Iterable[str | None]) -> set[str]:
    """Return those of the producers' ids that were accepted before."""
    wanted = [event_id for event_id in given if event_id]
    known: set[str] = set()
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        found = models.Event.select(models.Event.id).where(models.Event.id.in_(chunk))
        known.update(event_id for (event_id,) in found.tuples())
    return known
