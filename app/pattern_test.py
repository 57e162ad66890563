"""Trying out a resource key pattern: on a key that someone types, and on the events that came lately."""

from dataclasses import dataclass

from app.authentication import Caller
from app.event_query import EventFilter, may_see, page_of_events
from app.models import Event
from app.patterns import compile_pattern
from app.permissions import REPO, SYSTEM, Association
from app.stored_events import passing

RECENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternTest:
    """What became of it. `fault` is the engine's reason where the pattern is refused; then nothing was compared.

    `events` are the newest of the association, each with whether it matches; None where the caller may not see
    them.
    """

    fault: str | None = None
    key_matches: bool | None = None
    events: list[tuple[Event, bool]] | None = None


def try_pattern(
    caller: Caller,
    pattern: str,
    key: str | None,
    association: Association | None,
    *,
    now: int,
    stored_filter: str = "",
) -> PatternTest:
    """Try `pattern`, "" for every key, on `key`, unless it is None, and on the last 100 events of `association`; those
    match that pass the filter too.

    Raises DatabaseUnavailable.
    """
    try:
        compile_pattern(pattern)
    except ValueError as error:
        return PatternTest(fault=str(error))
    key_matches = None if key is None else fits(pattern, key)
    recent = None if association is None else _recent(caller, association, now)
    if recent is None:
        return PatternTest(key_matches=key_matches)
    fitting = [str(event.id) for event in recent if fits(pattern, event.resource_key)]
    passed = passing(stored_filter, fitting)
    return PatternTest(key_matches=key_matches, events=[(event, event.id in passed) for event in recent])


def fits(pattern: str, key: str | None) -> bool:
    """Return whether a good `pattern` takes the resource key of an event, as app.matching does. Pure."""
    return not pattern or compile_pattern(pattern).fullmatch((key or "").encode()) is not None


def _recent(caller: Caller, association: Association, now: int) -> list[Event] | None:
    project_id, _, repo_name = association.id.partition(":")
    if association.type == SYSTEM:
        return _events(EventFilter(start=0, end=now)) if caller.admin else None
    if not may_see(caller, project_id, repo_name or None):
        return None
    place = {"project_id": project_id} | ({"repo_name": repo_name} if association.type == REPO else {})
    return _events(EventFilter(start=0, end=now, **place))


def _events(wanted: EventFilter) -> list[Event]:
    return page_of_events(wanted, RECENT).events
