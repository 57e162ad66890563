"""Attempts are recorded: log rows, deliveries, the health of webhooks, whose turn it is next; all in one transaction.

Nearly all attempts are first ones that succeed, at webhooks without failures: these take the short way, which asks
nobody. The rest is looked at.
"""

import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress

from app import health, log_lines, metrics, models, ordering, outbox
from app.attempts import Attempt, Due
from app.database import insert_rows, repeat_on_conflict, unavailable, write_together, write_transaction
from app.errors import DatabaseUnavailable
from app.health import Limits, Tally, Transition
from app.ids import new_id
from app.matching import WebhookIndex
from app.models import DEAD, ERROR, WebhookLog
from app.operational import EventRow, Exhausted, GivenUp, is_operational, operational_event, recipients
from app.owing import Owing, Subject
from app.registry import Registry, lock_webhooks
from config.settings import Settings

# A success is not checked against failures that another process has counted within this time; see `look_round`.
LOOK_ROUND_MS = 1_000


class Recorder:
    """Makes attempts durable. Threads may share one."""

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._registry = registry
        self._zone = settings.timezone
        self._limits = Limits(settings.retry_schedule_ms, settings.disable_after_ms)
        self._looked_at = 0
        self._lock = threading.Lock()
        self._failing: set[str] = set()  # webhooks with failures on record, as last seen
        self._succeeded: dict[str, int] = {}  # and those that have succeeded since, and when

    def record(self, attempts: Sequence[Attempt], now: int, *, in_doubt: bool = False) -> list[str]:
        """Make `attempts` durable in one transaction, and return the deliveries whose turn has come by them.

        These are the caller's: see ordering.pass_on. `in_doubt` says that an earlier call
        for them was cut off: what that had recorded is not recorded again. Raises DatabaseUnavailable; then nothing
        was recorded, or that is in doubt, and the call can be repeated.
        """
        if not in_doubt and all(self._is_plain(attempt) for attempt in attempts):
            _record_plainly(attempts)
            following: list[str] = []
        else:
            following = self._record(attempts, now, in_doubt)
            self._learn(attempts)
        self._note(attempts)
        metrics.attempted(attempts)
        log_lines.attempted(attempts)
        return following

    def keep_up(self, now: int) -> None:
        """Look round, unless that was done a moment ago. For who records one by one. Raises DatabaseUnavailable."""
        with self._lock:
            is_time = now - self._looked_at >= LOOK_ROUND_MS
            self._looked_at = now if is_time else self._looked_at
        if is_time:
            self.look_round(now)

    def look_round(self, now: int) -> None:
        """See which webhooks have failures on record, and end those that were followed by a success of ours.

        Call it from time to time. Raises DatabaseUnavailable.
        """
        with unavailable():
            failing = health.failing_webhooks()
        with self._lock:
            succeeded, self._succeeded = self._succeeded, {}
            self._failing = set(failing)
        ended = [each for each, failed_at in failing.items() if succeeded.get(each, -1) > failed_at]
        if ended:
            self._end_failures(ended, now)

    def _learn(self, attempts: Iterable[Attempt]) -> None:
        """Have this process know at once where that opened a circuit: what it has in line need not be sent then."""
        if any(attempt.has_failed for attempt in attempts):
            with suppress(DatabaseUnavailable):
                self._registry.refreshed()

    def _is_plain(self, attempt: Attempt) -> bool:
        due = attempt.due
        return (
            not attempt.has_failed and not due.attempt and due.order_key is None and due.webhook_id not in self._failing
        )

    def _note(self, attempts: Iterable[Attempt]) -> None:
        with self._lock:
            for attempt in attempts:
                if not attempt.has_failed:
                    self._succeeded[attempt.due.webhook_id] = attempt.ended_at
                else:
                    self._failing.add(attempt.due.webhook_id)

    @repeat_on_conflict
    def _record(self, attempts: Sequence[Attempt], now: int, in_doubt: bool) -> list[str]:
        index, _ = self._registry.refreshed()
        with write_transaction():
            fresh = _unrecorded(attempts) if in_doubt else attempts
            insert_rows(WebhookLog, [attempt.log_row for attempt in fresh])
            # Webhooks before deliveries: whoever locks both does so in this order.
            transitions = self._count(fresh, now)
            self._tell([*transitions, *_exhausted(fresh)], index, now)
            for sql, parameters in outbox.removals(fresh):
                models.database.execute_sql(sql, parameters)
            outbox.reschedule(fresh)
            ended = [a.due for a in attempts if not a.has_failed or a.state == DEAD]
            return ordering.pass_on(ended, now)

    def _count(self, attempts: Sequence[Attempt], now: int) -> list[Transition]:
        """Count what `attempts` say of their webhooks, and return what there is to tell of it."""
        tallies = health.tally(attempts)
        to_end = self._to_end(tallies, attempts)
        failing = {seen.webhook_id for seen in tallies if seen.failed}
        unbuilt = {attempt.due.id: attempt.due.webhook_id for attempt in attempts if attempt.status == ERROR}
        lock_webhooks({*to_end, *failing, *unbuilt.values()})
        if unbuilt:
            health.free_probes(unbuilt, set(unbuilt.values()), now)
        return [*health.end_failures(to_end, now), *health.count_failures(tallies, self._limits, now)]

    def _to_end(self, tallies: Iterable[Tally], attempts: Iterable[Attempt]) -> set[str]:
        """Return the webhooks that have succeeded and may have failures on record."""
        retried = {attempt.due.webhook_id for attempt in attempts if attempt.due.attempt}
        with self._lock:
            doubtful = retried | self._failing
        return {
            seen.webhook_id for seen in tallies if seen.has_succeeded and (seen.failed or seen.webhook_id in doubtful)
        }

    @repeat_on_conflict
    def _end_failures(self, webhook_ids: Sequence[str], now: int) -> None:
        index, _ = self._registry.refreshed()
        with write_transaction():
            self._tell(health.end_failures(webhook_ids, now), index, now)

    def _tell(self, transitions: Sequence[Transition], index: WebhookIndex, now: int) -> None:
        """Publish operational events in the transaction of what they tell.

        `index` is from before it: were the registry asked here, it would take what this transaction writes for
        committed, and miss another process's change of the same version where this one is rolled back.
        """
        if not transitions:
            return
        owing = Owing(now, hinted=False)
        rows: list[EventRow] = []
        for webhook_id, state, detail in transitions:
            about = index.get(webhook_id)
            if about is None:
                continue
            event = operational_event(about, state, detail, event_id=new_id(), zone=self._zone, now=now)
            told = recipients(index, event)
            # Exhausted deliveries may be many: those that nobody wants to hear of are in the logs.
            if told or not isinstance(detail, Exhausted):
                rows.append(event)
            for webhook in told:
                owing.add(webhook, Subject(event.id, event.project_id, None, event.resource_key))
        insert_rows(models.Event, rows)
        owing.insert()


@repeat_on_conflict
def _record_plainly(attempts: Sequence[Attempt]) -> None:
    write_together([(WebhookLog, [attempt.log_row for attempt in attempts])], *outbox.removals(attempts))


def _exhausted(attempts: Iterable[Attempt]) -> list[Transition]:
    """Return what there is to tell of deliveries that were given up; of those of operational events, nothing."""
    given_up = [a for a in attempts if a.has_failed and a.state == DEAD and not is_operational(a.due.type)]
    states = {state.id: state for state in health.states({attempt.due.webhook_id for attempt in given_up})}
    return [
        Transition(due.webhook_id, states[due.webhook_id].health, Exhausted(delivery=_shown(due, attempt.error)))
        for attempt in given_up
        if (due := attempt.due).webhook_id in states
    ]


def _shown(due: Due, error: str | None) -> GivenUp:
    return GivenUp(
        id=due.id, event_id=due.event_id, triggered_event=due.type, attempts=due.attempt + 1, last_error_msg=error
    )


def _unrecorded(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Return those of `attempts` that have no log yet. A commit may have been made though its answer never came."""
    events = sorted({attempt.due.event_id for attempt in attempts})
    found = WebhookLog.select(WebhookLog.delivery_id, WebhookLog.attempt, WebhookLog.requested_at)
    known = set(found.where(WebhookLog.event_id.in_(events)).tuples())
    return [a for a in attempts if (a.due.id, a.due.attempt + 1, a.started_at) not in known]
