"""The calls whose queries scripts/explain shows: what the API, the worker and the scheduler really run."""

from collections.abc import Callable, Sequence

from app import authentication, users, webhooks
from app.clock import now_ms
from app.commands.events import newest
from app.event_types import Event
from app.ingest import keep_rejected, rejected_row
from app.logs import LogFilter, newest_logs, page_of_logs, read_log
from app.models import Event as EventRow
from app.models import WebhookLog
from app.permissions import Association, may_manage
from app.registry import Registry
from app.rotation import rotate_secret
from app.services import Services
from scripts.explain_call import ADMIN, BUSY, MANAGER, Call
from scripts.explain_event_pages import event_pages
from scripts.explain_log_search import log_pages
from scripts.explain_owed import DAY_MS, DISABLED, KINDS, ORDERED, ORDERED_BY_RESOURCE, webhook_id
from scripts.explain_recovery import deliveries, events, jobs
from scripts.explain_recovery_pages import live_tail, recovery_pages
from scripts.explain_sending import scheduler, worker
from scripts.explain_statistics import overview


def calls(services: Services, now: int) -> dict[str, list[Call]]:
    """Return all calls by part. They change rows, in this order; pruning comes last."""
    return {
        "API: webhooks": _webhooks(services, now),
        "API: logs": _logs(now),
        "API: events": events(now),
        "API: deliveries": deliveries(services, now),
        "API: jobs": jobs(now),
        "Pages: recovery": recovery_pages(services, now),
        "Pages: live tail": live_tail(),
        "API: users and grants": _people(services),
        "Dashboard: overview": overview(now),
        "Dashboard: events": event_pages(services, now),
        "Dashboard: logs": log_pages(now),
        "Publishing": _publishing(services, now),
        "Worker": worker(services, now),
        "Scheduler": scheduler(services, now),
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
    dropping = {"id": webhook_id(DISABLED + KINDS), "enabled": True, "pending": "drop"}
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
            "Enable a webhook, and have what is held sent",
            lambda: webhooks.update_webhook(services, ADMIN, {"id": webhook_id(DISABLED), "enabled": True}, now),
        ),
        Call(
            "Enable a webhook, and drop what is held",
            lambda: webhooks.update_webhook(services, ADMIN, dropping, now),
        ),
        Call("Give a webhook a new secret", lambda: rotate_secret(services, ADMIN, webhook_id(6), {}, now)),
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
    plain = [_event("p2", "r2", event_id) for event_id in ("event-5", "new-1", "new-2")]
    by_webhook, by_resource = ORDERED % 50, ORDERED_BY_RESOURCE % 50
    ordered = [_event(f"p{by_webhook}", f"r{by_webhook % 10}", "new-3"), _event(f"p{by_resource}", "r1", "new-4")]
    return [
        Call("Load the webhooks that changed", lambda: _reload(services)),
        Call("Publish events with ids of their own", lambda: services.publisher.publish(plain, now)),
        Call("Publish events that ordered webhooks get", lambda: services.publisher.publish(ordered, now)),
    ]


def _event(project_id: str, repo_name: str, event_id: str) -> Event:
    return Event(type="NODE_CREATED", project_id=project_id, repo_name=repo_name, resource_key="/a", event_id=event_id)


def _reload(services: Services) -> None:
    registry = Registry(services.vault)
    registry._version = 1_990
    registry.refresh()


def _reject(now: int) -> Sequence[object]:
    rows = [rejected_row("message", place, "type: unknown_type", {}, now=now) for place in range(3)]
    keep_rejected(rows)
    return rows
