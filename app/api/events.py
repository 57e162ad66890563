"""Events: they come in (contract §5), can be found again, and replayed to webhooks that missed them."""

from flask import Blueprint, Response, request
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import PathConverter

from app.api.body import read_batch, read_object
from app.api.cloudevents import is_cloud_event, read_cloud_events
from app.api.context import authenticate, caller, services
from app.api.envelope import ok
from app.api.params import query_parameters
from app.api.tracing import origin
from app.clock import now_ms
from app.delivery_status import deliveries_of, delivery_record, manageable
from app.event_catalogue import catalogue
from app.event_query import (
    PARAMETERS,
    event_record,
    filter_of,
    find_event,
    following_text,
    page_of_events,
    position_of,
    require_view,
)
from app.event_types import Event
from app.intake import read_event, require_publisher
from app.job_control import job_record, start_job
from app.job_request import KEY_HEADER, replay_request
from app.log_query import Frame
from app.query_fields import page_size_of
from app.webhooks import trigger_types

events = Blueprint("events", __name__, url_prefix="/webhook/api/event")
events.before_request(authenticate)


class EventIdConverter(PathConverter):
    """Producers choose the ids of events, with slashes if they like. `publish` has a URL and a method of its own."""

    part_isolating = False
    regex = "(?!publish$).+"


@events.record
def _add_converter(state: BlueprintSetupState) -> None:
    state.app.url_map.converters["event_id"] = EventIdConverter


@events.post("/publish")
def publish() -> Response:
    """Accept one event or a batch, all or none."""
    require_publisher(caller())
    published = services().publisher.publish(_read_events(), now_ms(), origin(_way_in()))
    data = {
        "accepted": published.accepted,
        "duplicates": published.duplicates,
        "matched": published.matched,
        "eventIds": published.event_ids,
    }
    return ok(data, 202)


@events.get("/list")
def list_() -> Response:
    """List events, without their payloads."""
    given = query_parameters(PARAMETERS)
    wanted = filter_of(given, _frame(now_ms()))
    require_view(caller(), wanted)
    page = page_of_events(wanted, page_size_of(given), position_of(given))
    records = [event_record(row, services().settings.timezone) for row in page.events]
    return ok({"records": records, "nextCursor": following_text(page)})


@events.get("/types")
def types() -> Response:
    """Show the event types: what they tell and require, and what receivers get."""
    return ok(catalogue(services().settings.extra_event_types))


@events.get("/<event_id:event_id>")
def get(event_id: str) -> Response:
    """Show an event, and where it is on its way to those webhooks that the caller may manage."""
    event, zone = find_event(caller(), event_id), services().settings.timezone
    found = deliveries_of(event)
    webhooks = manageable(caller(), {tracked.webhook_id for tracked in found})
    shown = [
        delivery_record(tracked, webhooks[tracked.webhook_id], zone)
        for tracked in found
        if tracked.webhook_id in webhooks
    ]
    return ok({**event_record(event, zone), "payload": event.payload, "deliveries": shown})


@events.post("/replay")
def replay() -> Response:
    """Have a webhook sent what it would have got had it been there, as a job."""
    now = now_ms()
    asked = replay_request(read_object(), request.headers.get(KEY_HEADER), _frame(now))
    return ok(job_record(start_job(caller(), asked, now), services().settings.timezone), 202)


def _way_in() -> str:
    return "cloudevents" if is_cloud_event() else "http"


def _frame(now: int) -> Frame:
    settings = services().settings
    return Frame(settings.timezone, now, trigger_types(settings))


def _read_events() -> list[Event]:
    known = trigger_types(services().settings)
    if is_cloud_event():
        return read_cloud_events(known)
    values, is_list = read_batch()
    return [read_event(value, known, f"[{index}]" if is_list else "") for index, value in enumerate(values)]
