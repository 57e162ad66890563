"""What the API calls to find events and deliveries, and to have them sent again."""

from app.delivery_query import (
    STATES,
    DeliveryFilter,
    count,
    detailed_record,
    find_delivery,
    page_of_deliveries,
    stretch,
)
from app.delivery_status import deliveries_of, manageable, track
from app.event_query import EventFilter, Position, find_event, may_see, page_of_events
from app.ids import first_id_at
from app.job_control import cancel_job, find_job, page_of_jobs, start_job
from app.job_request import FAILED, REPLAY, RESEND, JobFilters, JobRequest
from app.models import DEAD, HELD, PENDING, Delivery, Event, Job, WebhookLog
from app.recovery import resend
from app.services import Services
from scripts.explain_call import ADMIN, BUSY, MANAGER, Call
from scripts.explain_owed import DAY_MS, OPEN, webhook_id


def events(now: int) -> list[Call]:
    """Return what shows events."""
    event = Event.select().order_by(Event.accepted_at.desc()).offset(500).first()
    month = EventFilter(start=now - 30 * DAY_MS, end=now)
    by_filter = EventFilter(start=now - 30 * DAY_MS, end=now, type="NODE_DELETED", project_id="p3", user_id="user-1")
    position = Position(now - 2 * DAY_MS, "event")
    return [
        Call("The newest events", lambda: page_of_events(month, 20)),
        Call("The next page of events", lambda: page_of_events(month, 20, position)),
        Call("Events by filter, of which few fit", lambda: page_of_events(by_filter, 20)),
        Call("The next page of them", lambda: page_of_events(by_filter, 20, position)),
        Call("An event by its id", lambda: find_event(ADMIN, event.id)),
        Call("Whether a user may see events", lambda: may_see(MANAGER, "p7", "r1")),
        Call("An event's deliveries", lambda: deliveries_of(event)),
        Call("The webhooks of an event's deliveries", lambda: manageable(ADMIN, [webhook_id(1), webhook_id(2)])),
    ]


def deliveries(services: Services, now: int) -> list[Call]:
    """Return what shows deliveries, and sends one again."""
    dead, held = _delivery(BUSY, DEAD), _delivery(webhook_id(OPEN), HELD)
    gone = WebhookLog.select(WebhookLog.delivery_id).order_by(WebhookLog.id.desc()).offset(500).limit(1).scalar()
    unknown = first_id_at(now - DAY_MS)
    wanted = DeliveryFilter(webhook_id=BUSY, start=now - 20 * DAY_MS, end=now, triggered_event="NODE_CREATED")
    attempted = DeliveryFilter(webhook_id=BUSY, end=now, attempted=True)
    zone = services.settings.timezone
    return [
        Call("A webhook's deliveries", lambda: page_of_deliveries(DeliveryFilter(webhook_id=BUSY), STATES, 20)),
        Call("A webhook's deliveries by filter", lambda: page_of_deliveries(wanted, STATES, 20)),
        Call("Deliveries with an attempt", lambda: stretch(attempted, PENDING, 500)),
        Call("Count deliveries with an attempt", lambda: count(attempted, PENDING)),
        Call("A delivery by its id", lambda: detailed_record(*find_delivery(ADMIN, dead), zone)),
        Call("A delivery that has left the outbox", lambda: track(gone)),
        Call("A delivery that never was", lambda: track(unknown)),
        Call("Send a delivery again", lambda: resend(ADMIN, dead, now)),
        Call("Send a delivery again, past an open circuit", lambda: resend(ADMIN, held, now)),
        Call("Send a delivery again that has left the outbox", lambda: resend(ADMIN, gone, now)),
    ]


def _delivery(of: str, state: str) -> str:
    found = Delivery.select(Delivery.id).where(Delivery.webhook_id == of, Delivery.state == state)
    return str(found.order_by(Delivery.id).limit(1).scalar())


def jobs(now: int) -> list[Call]:
    """Return what makes and shows jobs. Two are left to be worked off."""
    some = Job.select(Job.id).limit(1).scalar()
    resending = JobRequest(RESEND, BUSY, JobFilters(None, None, None, (FAILED,)), "key")
    replaying = JobRequest(REPLAY, BUSY, JobFilters(now - 10 * DAY_MS, None, None), None)
    return [
        Call("Start a job", lambda: [start_job(ADMIN, each, now) for each in (resending, replaying)]),
        Call("A job by its id", lambda: find_job(ADMIN, some)),
        Call("A webhook's jobs", lambda: page_of_jobs(BUSY, 20)),
        Call("A webhook's jobs, the next page", lambda: page_of_jobs(BUSY, 20, before=some)),
        Call("Cancel a job", lambda: _start_and_cancel(now)),
    ]


def _start_and_cancel(now: int) -> None:
    asked = JobRequest(RESEND, webhook_id(20), JobFilters(None, None, None, (DEAD,)), None)
    cancel_job(ADMIN, start_job(ADMIN, asked, now).id, now)
