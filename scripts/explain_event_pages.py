"""What the pages about events call that the API does not."""

from app.event_query import EventFilter, page_of_events, search
from app.match_reasons import bystanders, elsewhere
from app.models import Event
from app.rejected import Position, page_of_rejected
from app.replay_one import replay_one
from app.services import Services
from scripts.explain_call import ADMIN, MANAGER, Call
from scripts.explain_owed import webhook_id


def event_pages(services: Services, now: int) -> list[Call]:
    """Return what shows events and rejected events, and replays one."""
    everything = EventFilter(start=0, end=now)
    by_part = EventFilter(start=0, end=now, key_part="/19")
    granted = EventFilter(start=0, end=now, viewer=MANAGER.user_id)
    # Of the repository of webhook 2, which is in good health and has next to no logs.
    event = Event.select().where(Event.project_id == "p2").order_by(Event.accepted_at.desc()).first()
    return [
        Call("Search for an id or a resource key", lambda: search(ADMIN, "/release/19", everything)),
        Call("Events whose resource key has a text in it", lambda: page_of_events(by_part, 50)),
        Call("Events that a user may see", lambda: page_of_events(granted, 50)),
        Call("The webhooks around an event, for an administrator", lambda: bystanders(ADMIN, event, ())),
        Call("The webhooks elsewhere, for an administrator", lambda: elsewhere(ADMIN, event)),
        Call("The same for a user", lambda: [bystanders(MANAGER, event, ()), elsewhere(MANAGER, event)]),
        Call("Replay one event to one webhook", lambda: replay_one(services, ADMIN, event.id, webhook_id(2), now=now)),
        Call("Rejected events", lambda: page_of_rejected(50)),
        Call("Rejected events, the next page", lambda: page_of_rejected(50, Position(now - 500, "0" * 32))),
    ]
