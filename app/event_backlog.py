"""Accepted events in the order of their acceptance, as they come, for those who read along.

An event carries the time at which its publishing began, and is there when that has committed: one that had to wait
appears among older ones. So each look goes back over as long as an event can be late, and passes over what it has seen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.database import unavailable
from app.matching import Webhook
from app.models import Event
from app.permissions import REPO, SYSTEM

OVERLAP_MS = 15_000  # a transaction waits as long for others, and then gives up (app.engines)
MOST = 100  # events that one look gives
SCAN = 20_000  # events that one look passes over
SEEN = 20_000  # ids in the overlap: past 1,300 events a second it is shorter than OVERLAP_MS


class Place(NamedTuple):
    """A place in the order of acceptance: right after an event, or with "" before all of a millisecond."""

    at: int
    event_id: str = ""


class Look(NamedTuple):
    """Ids of events, and whether there is more to be read at once."""

    ids: list[str]
    is_behind: bool


class Backlog:
    """What was accepted from the time `floor` on (milliseconds UTC), after `resumed` where that is given."""

    def __init__(self, floor: int, resumed: Place | None = None) -> None:
        self.floor = floor
        self._place = Place(floor) if resumed is None else max(Place(floor), resumed)
        self._seen: set[str] = set()
        self._looked_at: int | None = None

    def resume_from(self, given: Place | None = None) -> Place:
        """Return where to read on for who was told of all up to `given`, by default all that was found: some may come
        again, none is missed."""
        told = self._place if given is None else given
        if self._looked_at is None:
            return self._place
        return max(Place(self.floor), min(told, Place(self._looked_at - OVERLAP_MS)))

    def look(self, webhook: Webhook, now: int) -> Look:
        """Return the next events that `webhook` may be about, by their projects, repositories and types; whether it
        is, is for app.matching to say. Raises DatabaseUnavailable."""
        conditions = _conditions(webhook)
        near = self._near(conditions)
        late = [event_id for event_id in near if event_id not in self._seen]
        horizon = self._horizon()
        fresh = self._fresh(conditions, horizon)
        self._seen = {*near, *(place.event_id for place in fresh)}
        self._looked_at = now
        is_full = len(fresh) == MOST
        if is_full or horizon is not None:
            self._place = fresh[-1] if is_full or horizon is None else horizon
        else:
            self._place = max([Place(now), self._place, *fresh])
        return Look([*late, *(place.event_id for place in fresh)], is_full or horizon is not None)

    def _near(self, conditions: Sequence[Any]) -> list[str]:
        """Return the ids up to the present place among which others can have appeared since the last look, oldest
        first."""
        if self._looked_at is None:
            return []
        start = max(self.floor, self._looked_at - OVERLAP_MS)
        at, event_id = self._place
        up_to = Event.accepted_at <= at, (Event.accepted_at < at) | (Event.id <= event_id)
        query = Event.select(Event.id).where(Event.accepted_at >= start, *up_to, *conditions)
        with unavailable():
            found = query.order_by(Event.accepted_at.desc(), Event.id.desc()).limit(SEEN).tuples()
            return [event_id for (event_id,) in found][::-1]

    def _fresh(self, conditions: Sequence[Any], horizon: Place | None) -> list[Place]:
        within = list(self._after())
        if horizon is not None:
            at, event_id = horizon
            within += [Event.accepted_at <= at, (Event.accepted_at < at) | (Event.id <= event_id)]
        query = Event.select(Event.accepted_at, Event.id).where(*within, *conditions)
        with unavailable():
            return [Place(*row) for row in query.order_by(Event.accepted_at, Event.id).limit(MOST).tuples()]

    def _horizon(self) -> Place | None:
        """Return up to which event one look reads, None where that is the newest."""
        query = Event.select(Event.accepted_at, Event.id).where(*self._after())
        with unavailable():
            row = query.order_by(Event.accepted_at, Event.id).limit(1).offset(SCAN - 1).tuples().first()
        return None if row is None else Place(*row)

    def _after(self) -> tuple[Any, ...]:
        at, event_id = self._place
        return Event.accepted_at >= at, (Event.accepted_at > at) | (Event.id > event_id)


def _conditions(webhook: Webhook) -> list[Any]:
    found = [Event.type.in_(sorted(webhook.triggers))]
    if webhook.association_type != SYSTEM:
        project_id, _, repo_name = webhook.association_id.partition(":")
        found.append(Event.project_id == project_id)
        if webhook.association_type == REPO:
            found.append(Event.repo_name == repo_name)
    return found
