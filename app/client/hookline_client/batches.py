"""Events on their way to the server: their ids, their JSON, batches that it takes, and what became of them."""

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hookline_client.record import Record

Event = Mapping[str, Any]

BATCH_EVENTS = 500
BATCH_BYTES = 8 * 1024 * 1024  # half of what the server takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Record):
    """What became of a call of `publish`. `matched` counts the deliveries made."""

    accepted: int = 0
    duplicates: int = 0
    matched: int = 0
    event_ids: tuple[str, ...] = ()

    def __add__(self, other: "Published") -> "Published":
        """Return the sums of two calls."""
        return Published(
            accepted=self.accepted + other.accepted,
            duplicates=self.duplicates + other.duplicates,
            matched=self.matched + other.matched,
            event_ids=self.event_ids + other.event_ids,
        )


def encode(event: Event) -> bytes:
    """Return an event as JSON, with an `eventId` of its own where it has none: so it can be sent again safely.

    Raises TypeError or ValueError for what JSON can't say.
    """
    known = event if event.get("eventId") is not None else {**event, "eventId": uuid.uuid4().hex}
    return json.dumps(known, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def array(encoded: Iterable[bytes]) -> bytes:
    """Return a JSON array of what `encode` returned."""
    return b"[%b]" % b",".join(encoded)


def batches_of(encoded: Iterable[bytes], most_events: int, most_bytes: int) -> Iterator[list[bytes]]:
    """Split what `encode` returned into batches; an event that is larger than one makes a batch of its own."""
    batch: list[bytes] = []
    size = 0
    for event in encoded:
        if batch and (len(batch) >= most_events or size + len(event) > most_bytes):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += len(event)
    if batch:
        yield batch
