"""Events from the queue that could not be accepted, as administrators look at them; app.ingest keeps them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from peewee import fn

from app.database import repeat_on_conflict, unavailable, write_transaction
from app.errors import NotFound
from app.models import RejectedEvent, database
from app.query_fields import cursor_of, cursor_text

NOT_FOUND = 250108
SHOWN = 16_384  # characters of an event that pages show

_ID = re.compile("[0-9a-f]{32}")


class Position(NamedTuple):
    """Where a page ends: the next one begins with the event before that."""

    received_at: int
    id: str


class Rejected(NamedTuple):
    """A rejected event as it is shown: `beginning` is what came, up to 16,384 of its `length` in characters."""

    id: str
    message_id: str
    place: int
    reason: str
    received_at: int
    beginning: str
    length: int


class RejectedPage(NamedTuple):
    """Rejected events, newest first, and the cursor of the next page; None where there is none."""

    rows: list[Rejected]
    following: str | None


def has_rejected() -> bool:
    """Return whether there is any. Raises DatabaseUnavailable."""
    with unavailable():
        return bool(RejectedEvent.select(RejectedEvent.id).exists())


def page_of_rejected(size: int, position: Position | None = None) -> RejectedPage:
    """Return up to `size` rejected events before `position`. Raises DatabaseUnavailable."""
    at, id_ = RejectedEvent.received_at, RejectedEvent.id
    query = RejectedEvent.select(
        id_,
        RejectedEvent.message_id,
        RejectedEvent.place,
        RejectedEvent.reason,
        at,
        fn.SUBSTR(RejectedEvent.raw, 1, SHOWN),
        getattr(fn, database.char_length)(RejectedEvent.raw).coerce(False),
    ).order_by(at.desc(), id_.desc())
    if position is not None:
        query = query.where(at <= position.received_at, (at < position.received_at) | (id_ < position.id))
    with unavailable():
        rows = [Rejected(*row) for row in query.limit(size + 1).tuples()]
    if len(rows) <= size:
        return RejectedPage(rows, None)
    last = rows[size - 1]
    return RejectedPage(rows[:size], cursor_text(str(last.received_at), last.id))


def position_of(given: Mapping[str, str]) -> Position | None:
    """Return where the page begins, None for the newest. Raises BadRequest."""
    parts = cursor_of(given, "[0-9]{1,15}", _ID.pattern)
    return None if parts is None else Position(int(parts[0]), parts[1])


def find_rejected(rejected_id: str) -> RejectedEvent:
    """Return a rejected event. Raises NotFound."""
    row: RejectedEvent | None = None
    if _ID.fullmatch(rejected_id):
        with unavailable():
            row = RejectedEvent.get_or_none(RejectedEvent.id == rejected_id)
    if row is None:
        raise NotFound(NOT_FOUND, "rejected_not_found")
    return row


@repeat_on_conflict
def discard(row: RejectedEvent) -> None:
    """Delete a rejected event for good."""
    with write_transaction():
        row.delete_instance()
