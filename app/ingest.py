"""Events that come as messages on the queue `events` (contract §5): accepted as over HTTP, or kept with the reason.

Nobody waits for an answer there, so one bad event does not refuse its batch. Ids are made of the message's, so a
message that is handled twice is accepted once.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from app.database import insert_rows, marks, unavailable, write_transaction
from app.event_types import Event, InvalidEvent, event_from
from app.events import Publisher
from app.models import RejectedEvent, database

WHOLE = -1
_MESSAGE_ID = 128  # characters kept of it
_KNOWN = "SELECT id FROM rejected_event WHERE id IN ({marks})"

Row = tuple[Any, ...]


class Incoming(NamedTuple):
    """A message: its id, and the one argument of `publish_events`, or whatever came instead."""

    message_id: str
    arguments: Sequence[object]


class Sorted(NamedTuple):
    """What messages hold: events to accept, and rows of RejectedEvent."""

    events: list[Event]
    rejected: list[Row]


def ingest(publisher: Publisher, messages: Sequence[Incoming], types: Collection[str], now: int) -> Sorted:
    """Accept the events of `messages`, all in one transaction, and keep those that can't be.

    Raises DatabaseUnavailable; then the same messages can be given again.
    """
    found = sort_messages(messages, types, now)
    keep_rejected(found.rejected)
    if found.events:
        publisher.publish(found.events, now)
    return found


def sort_messages(messages: Sequence[Incoming], types: Collection[str], now: int) -> Sorted:
    """Return the events of `messages` with an id each, and the rows of those that are none. Pure."""
    found = Sorted([], [])
    for message in messages:
        values = _events_of(message.arguments)
        if values is None:
            reason = "the message's arguments are not one list of events"
            found.rejected.append(rejected_row(message.message_id, WHOLE, reason, message.arguments, now=now))
            continue
        for place, value in enumerate(values):
            try:
                event = event_from(value, types)
            except InvalidEvent as error:
                found.rejected.append(rejected_row(message.message_id, place, str(error), value, now=now))
            else:
                found.events.append(_identified(event, message.message_id, place))
    return found


def rejected_row(message_id: str, place: int, reason: str, value: object, *, now: int) -> Row:
    """Return the row that keeps `value`, which stood at `place` of a message. Bytes are kept as text."""
    raw = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else msgspec.json.encode(value).decode()
    shown = message_id[:_MESSAGE_ID].replace("\0", "\ufffd")
    return (_digest(message_id, place), shown, place, reason, raw.replace("\0", "\ufffd"), now)


def keep_rejected(rows: Sequence[Row]) -> None:
    """Store rows of rejected events; those that are stored already stay as they are. Raises DatabaseUnavailable."""
    if not rows:
        return
    with unavailable():
        ids = [row[0] for row in rows]
        found = database.execute_sql(_KNOWN.format(marks=marks(len(ids))), ids).fetchall()
    known = {row[0] for row in found}
    fresh = {row[0]: row for row in rows if row[0] not in known}
    with write_transaction():
        insert_rows(RejectedEvent, list(fresh.values()))


def accept_rejected(publisher: Publisher, row: RejectedEvent, types: Collection[str], now: int) -> bool:
    """Accept what a row keeps, and remove the row; return whether that was possible.

    It has the id that it would have had at first, so it is accepted once. Raises DatabaseUnavailable.
    """
    try:
        value = msgspec.json.decode(row.raw)
    except msgspec.DecodeError:
        return False
    arguments = value if row.place == WHOLE else [[value]]
    if not isinstance(arguments, list):
        return False
    found = sort_messages([Incoming(row.message_id, arguments)], types, now)
    if found.rejected or not found.events:
        return False
    events = found.events
    if row.place != WHOLE and not value.get("eventId"):
        events = [msgspec.structs.replace(events[0], event_id=row.id)]
    publisher.publish(events, now)
    with write_transaction():
        row.delete_instance()
    return True


def _events_of(arguments: Sequence[object]) -> list[object] | None:
    """Return the events of a message; a producer may send one alone, without a list around it."""
    if len(arguments) != 1:
        return None
    [given] = arguments
    if isinstance(given, list):
        return given
    return [given] if isinstance(given, dict) else None


def _identified(event: Event, message_id: str, place: int) -> Event:
    return event if event.event_id else msgspec.structs.replace(event, event_id=_digest(message_id, place))


def _digest(message_id: str, place: int) -> str:
    text = f"{message_id}:{place}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()
