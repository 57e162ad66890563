"""The calls whose queries scripts/explain shows: what the API, the worker and the scheduler really run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app import authentication, outbox, users, webhooks
from app.attempts import Attempt, Due, Policy, judge
from app.authentication import Caller
from app.clock import now_ms
from app.commands.events import newest
from app.event_types import Event
from app.exchange import Outcome, Request
from app.ingest import keep_rejected, rejected_row
from app.log_counts import count_logs
from app.logs import LogFilter, newest_logs, page_of_logs, read_log
from app.models import Event as EventRow
from app.models import WebhookLog
from app.permissions import Association, may_manage
from app.registry import Registry
from app.retention import prune
from app.services import Services
from scripts.explain_rows import DAY_MS, DAYS, delivery_id, webhook_id
from workers.lease import Lease

ADMIN = Caller("user-0", admin=True, scopes=frozenset(), platform=False)
MANAGER = Caller("user-7", admin=False, scopes=frozenset(), platform=False)
BUSY = webhook_id(0)


class Call(NamedTuple):
    """Something that Hookline does, and who does it."""

    name: str
    run: Callable[[], object]


def calls(services: Services, now: int) -> dict[str, list[Call]]:
    """Return all calls by part. They change rows, in this order; pruning comes last."""
    return {
        "API: webhooks": _webhooks(services, now),
        "API: logs": _logs(now),
        "API: users and grants": _people(services),
        "Publishing": _publishing(services, now),
        "Worker": _worker(now),
        "Scheduler": _scheduler(now),
        "Rejected events": [
            Call("Keep rejected events", lambda: _reject(now)),
            Call("Show the newest rejected events", lambda: newest(100)),
        ],
    }


def _webhooks(services: Services, now: int) -> list[Call]:
    place = Association("REPO", "p2:r2")
    new = {
        "url": "https://a.example/",
        "triggers": ["NODE_CREATED"],
        "associationType": "REPO",
        "associationId": "p2:r2",
    }
    return [
        Call("The webhooks of an association", lambda: webhooks.list_webhooks(ADMIN, "REPO", place)),
        Call("The webhooks of a type, for an administrator", lambda: webhooks.list_webhooks(ADMIN, "PROJECT", None)),
        Call(
            "The webhooks of a type that a user may manage: REPO", lambda: webhooks.list_webhooks(MANAGER, "REPO", None)
        ),
        Call("The same: PROJECT", lambda: webhooks.list_webhooks(MANAGER, "PROJECT", None)),
        Call("A webhook by its id", lambda: webhooks.find_webhook(ADMIN, webhook_id(6))),
        Call("Make a webhook", lambda: webhooks.create_webhook(services, ADMIN, new, now)),
        Call(
            "Change a webhook and release what was parked",
            lambda: webhooks.update_webhook(services, ADMIN, {"id": webhook_id(6), "enabled": True}, now),
        ),
        Call(
            "Delete a webhook and cancel what is owed to it", lambda: webhooks.delete_webhook(ADMIN, webhook_id(7), now)
        ),
    ]


def _logs(now: int) -> list[Call]:
    def page(number: int, **more: str) -> Callable[[], object]:
        wanted = LogFilter(webhook_id=BUSY, start=now - 20 * DAY_MS - 1_234_567, end=now, **more)
        return lambda: page_of_logs(wanted, number, 20)

    some = WebhookLog.select(WebhookLog.id).order_by(WebhookLog.id).limit(1).scalar()
    return [
        Call("A log by its id", lambda: read_log(some)),
        Call("The newest logs of a webhook", lambda: newest_logs(BUSY, now_ms())),
        Call("A page of logs: counting", page(1)),
        Call("A page of logs, far back", page(30)),
        Call("A page of failures", page(2, status="FAIL")),
        Call("A page of successes", page(2, status="SUCCESS")),
        Call("A page by trigger", page(2, triggered_event="NODE_DELETED")),
        Call("A page by event", page(1, event_id="event-1999")),
        Call("A page by text", page(1, text="/release/99")),
        Call("Send a log again: its event", lambda: EventRow.get_or_none(EventRow.id == "event-5")),
    ]


def _people(services: Services) -> list[Call]:
    return [
        Call("A user who calls", lambda: authentication._user("user-7", "no password")),
        Call("A platform that calls", lambda: authentication._platform("0" * 32, "no secret", "user-7")),
        Call("Whether a user may manage an association", lambda: may_manage(MANAGER, Association("REPO", "p7:r1"))),
        Call("Users in payloads", lambda: users.describe_users(["user-1", "user-2"], services.settings.timezone)),
    ]


def _publishing(services: Services, now: int) -> list[Call]:
    events = [
        Event(type="NODE_CREATED", project_id="p2", repo_name="r2", resource_key="/a", event_id=event_id)
        for event_id in ("event-5", "new-1", "new-2")
    ]
    return [
        Call("Load the webhooks that changed", lambda: _reload(services)),
        Call("Publish events with ids of their own", lambda: services.publisher.publish(events, now)),
    ]


def _reload(services: Services) -> None:
    registry = Registry(services.vault)
    registry._version = 1_990
    registry.refresh()


def _worker(now: int) -> list[Call]:
    ids = [delivery_id(number) for number in range(12, 3_000, 10)]
    dues = outbox.load(ids).dues
    chosen = [due.id for due in dues]
    return [
        Call("Load deliveries", lambda: outbox.load(chosen)),
        Call("Record successes", lambda: outbox.record([_attempt(due, 200, now) for due in dues[:50]])),
        Call(
            "Record failures, and one that is gone",
            lambda: outbox.record([_attempt(due, 410, now) for due in dues[50:52]]),
        ),
        Call("Put deliveries back", lambda: outbox.put_back(chosen[100:120], now)),
        Call("Park deliveries of disabled webhooks", lambda: outbox.park(chosen[120:140])),
        Call("Cancel deliveries of deleted webhooks", lambda: outbox.cancel(chosen[140:160])),
    ]


def _attempt(due: Due, status: int, now: int) -> Attempt:
    outcome = Outcome(status, {}, b"", None, now, 20)
    return judge(due, Request("https://a.example/", {}, b"", 1_000), outcome, Policy((5_000,), 1_000), now=now)


def _scheduler(now: int) -> list[Call]:
    lease = Lease("scheduler")
    return [
        Call("Take or renew the lease", lease.take),
        Call("Give the lease up", lease.release),
        Call("Claim deliveries that are due", lambda: outbox.claim_due(now, 1_000)),
        Call("Claim deliveries whose message is lost", lambda: outbox.claim_lost(now - 100_000, now, 1_000)),
        Call("Count logs", lambda: count_logs(now + 600_000)),
        Call("Prune logs, counts, events and deleted webhooks", lambda: prune(DAYS - 1, now, lambda _: None)),
    ]


def _reject(now: int) -> Sequence[object]:
    rows = [rejected_row("message", place, "type: unknown_type", {}, now=now) for place in range(3)]
    keep_rejected(rows)
    return rows
