"""Accepted events as matching and filters see them."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from app import event_types
from app.database import unavailable
from app.filters import compile_filter, document_of
from app.models import Event

_PORTION = 50  # events that are loaded at once with their payloads, which may be large
_COLUMNS = (
    *(Event.id, Event.type, Event.project_id, Event.repo_name, Event.resource_key, Event.user_id, Event.source),
    Event.error,
)


class Sieve:
    """One accepted event, judged by filters. Its payload is decoded once, and only where one looks into it."""

    def __init__(self, event: Event) -> None:
        self._event = event

    def passes(self, stored: str | None) -> bool:
        """Return whether the filter of a webhook, None or "" for none, lets the event pass. Pure."""
        if not stored:
            return True
        meant = compile_filter(stored)
        return meant.matches(self._whole if meant.needs_payload else self._fields)

    @cached_property
    def _fields(self) -> dict[str, Any]:
        return document_of(subject_of(self._event), None)

    @cached_property
    def _whole(self) -> dict[str, Any]:
        return document_of(subject_of(self._event), self._event.payload if self._event.error is None else None)


def subject_of(event: Event) -> event_types.Event:
    """Return what matching needs of the row of an accepted event."""
    return event_types.Event(
        type=event.type,
        project_id=event.project_id,
        repo_name=event.repo_name,
        resource_key=event.resource_key,
        user_id=event.user_id,
        source=event.source,
    )


def passing(stored: str | None, event_ids: Sequence[str]) -> set[str]:
    """Return those of the events that the filter of a webhook, None or "" for none, lets pass.

    Raises DatabaseUnavailable.
    """
    if not stored:
        return set(event_ids)
    columns = (*_COLUMNS, Event.payload) if compile_filter(stored).needs_payload else _COLUMNS
    found: set[str] = set()
    for start in range(0, len(event_ids), _PORTION):
        query = Event.select(*columns).where(Event.id.in_(event_ids[start : start + _PORTION]))
        with unavailable():
            found.update(row.id for row in query if Sieve(row).passes(stored))
    return found
