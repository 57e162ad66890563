"""Events that come as messages on the queue `events` (contract §5): accepted as over HTTP, or kept with the reason.

Nobody waits for an answer there, so one bad event does not refuse its batch. Ids are made of the message's, so a
message that is handled twice is accepted once.
"""

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from app import metrics
from app.database import insert_rows, marks, unavailable, write_transaction
from app.event_types import Event, InvalidEvent, event_from
from app.events import Publisher
from app.models import RejectedEvent, database
from app.origin import Origin
from app.traceparent import parsed

WHOLE = -1
# Bytes of JSON, as over HTTP. MySQL takes 16 MiB in one packet, so what is kept has a bound too, and quotes escaped.
MAX_EVENT = 1024 * 1024
MAX_KEPT = 4 * 1024 * 1024
_MESSAGE_ID = 128  # characters kept of it
_CHUNK = 10_000  # parameters in one statement: SQLite takes 32,766, the others more
# PostgreSQL's text takes no NUL, and a lone surrogate can't be written as UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_SELECT_KNOWN = "SELECT id FROM rejected_event WHERE id IN ({marks})"

Row = tuple[Any, ...]


class Incoming(NamedTuple):
    """A message: its id, and the one argument of `publish_events`, or whatever came instead.

    `traceparent` is its option of that name: the trace of those of its events that name none of their own.
    """

    message_id: str
    arguments: Sequence[object]
    traceparent: object = None


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
        publisher.publish(found.events, now, Origin("redis"))
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
                event = _checked(value, types)
            except InvalidEvent as error:
                found.rejected.append(rejected_row(message.message_id, place, str(error), value, now=now))
            else:
                found.events.append(_identified(event, message, place))
    return found


def _checked(value: object, types: Collection[str]) -> Event:
    event = event_from(value, types)
    if len(_encoded(value)) > MAX_EVENT:
        raise InvalidEvent("", "too_long")
    return event


def rejected_row(message_id: str, place: int, reason: str, value: object, *, now: int) -> Row:
    """Return the row that keeps `value`, which stood at `place` of a message.

    Bytes are kept as text. Of more than 4 MiB the beginning is kept, and the reason says so.
    """
    encoded = value if isinstance(value, bytes) else _encoded(value)
    if len(encoded) > MAX_KEPT:
        reason = f"{reason} (the first {MAX_KEPT:,} of {len(encoded):,} bytes are kept)"
    raw = encoded[:MAX_KEPT].decode("utf-8", "backslashreplace")
    return (
        _digest(message_id, place),
        _storable(message_id)[:_MESSAGE_ID],
        place,
        _storable(reason),
        _storable(raw),
        now,
    )


def keep_rejected(rows: Sequence[Row]) -> None:
    """Store rows of rejected events; those that are stored already stay as they are. Raises DatabaseUnavailable."""
    if not rows:
        return
    fresh = {row[0]: row for row in rows}
    for known in _known(list(fresh)):
        del fresh[known]
    with write_transaction():
        insert_rows(RejectedEvent, list(fresh.values()))
    metrics.rejected(len(fresh))


def accept_rejected(publisher: Publisher, row: RejectedEvent, types: Collection[str], now: int) -> bool:
    """Accept what a row keeps, and remove the row; return whether that was possible.

    It has the id that it would have had at first, so it is accepted once. Of a whole message the events that are valid
    are accepted, and the others are kept by themselves. Raises DatabaseUnavailable.
    """
    try:
        value = msgspec.json.decode(row.raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    arguments = value if row.place == WHOLE else [[value]]
    if not isinstance(arguments, list):
        return False
    found = sort_messages([Incoming(row.message_id, arguments)], types, now)
    if not found.events:
        return False
    events = found.events
    if row.place != WHOLE and not value.get("eventId"):
        events = [msgspec.structs.replace(events[0], event_id=row.id)]
    keep_rejected(found.rejected)
    publisher.publish(events, now, Origin("rejected"))
    with write_transaction():
        row.delete_instance()
    return True


def _known(ids: Sequence[str]) -> list[str]:
    """Return those of `ids` that rejected events have."""
    known: list[str] = []
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        with unavailable():
            found = database.execute_sql(_SELECT_KNOWN.format(marks=marks(len(chunk))), chunk).fetchall()
        known += [row[0] for row in found]
    return known


def _events_of(arguments: Sequence[object]) -> list[object] | None:
    """Return the events of a message; a producer may send one alone, without a list around it."""
    if len(arguments) != 1:
        return None
    [given] = arguments
    if isinstance(given, list):
        return given
    return [given] if isinstance(given, dict) else None


def _identified(event: Event, message: Incoming, place: int) -> Event:
    if event.event_id and message.traceparent is None:
        return event
    return msgspec.structs.replace(
        event,
        event_id=event.event_id or _digest(message.message_id, place),
        traceparent=parsed(event.traceparent) or parsed(message.traceparent),
    )


def _digest(message_id: str, place: int) -> str:
    text = f"{message_id}:{place}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:  # a plain worker's decoder lets lone surrogates through
        return json.dumps(value).encode()


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)
