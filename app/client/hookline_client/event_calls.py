"""Events: publishing them, finding them again, and their stream."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Unpack

from hookline_client.batches import BATCH_BYTES, BATCH_EVENTS, Event, Published, array, batches_of, encode
from hookline_client.calls import Calls
from hookline_client.connection import PREFIX, Call, envelope_of, error_of
from hookline_client.fields import Date, EventFilters, ReplayFilters, on_wire
from hookline_client.pages import Page, page_of
from hookline_client.records import EventRecord, EventType, Job
from hookline_client.retrying import Retry, Wait, sleep
from hookline_client.sse import Stream
from hookline_client.walking import by_cursor

JSON = {"Content-Type": "application/json"}


class EventCalls(Calls):
    """`/webhook/api/event`."""

    def publish(self, events: Event | Iterable[Event], *, retry: Retry | None = None) -> Published:
        """Publish an event, or some: all or none. When it returns, they and their deliveries are durable.

        An event without an `eventId` is given one, and the call is repeated with the same while the server is busy or
        away, so each is accepted once. An event is 1 MiB at most, a call 16 MiB and 10,000 events; see `publish_all`.
        `retry` takes the place of the client's own. Raises TypeError or ValueError for what JSON can't say.
        """
        given = [events] if isinstance(events, Mapping) else events
        return self.publish_encoded([encode(event) for event in given], retry=retry)

    def publish_all(
        self,
        events: Iterable[Event],
        *,
        batch_events: int = BATCH_EVENTS,
        batch_bytes: int = BATCH_BYTES,
        retry: Retry | None = None,
    ) -> Iterator[Published]:
        """Publish any number of events batch by batch, and yield what became of each batch.

        Where it raises, the batches that it has yielded are durable, and those to come were not sent.
        """
        for batch in batches_of(map(encode, events), batch_events, batch_bytes):
            yield self.publish_encoded(batch, retry=retry)

    def publish_encoded(self, encoded: Sequence[bytes], *, retry: Retry | None = None, wait: Wait = sleep) -> Published:
        """Publish what `batches.encode` made; for those who keep events as JSON. `wait` sleeps between tries; where it
        returns False there are no more."""
        call = Call("POST", PREFIX + "/event/publish", content=array(encoded), headers=JSON, repeat=True)
        return Published.of(self._connection.data(call, retry=retry, wait=wait))

    def event(self, event_id: str) -> EventRecord:
        """Return an event with its payload, and its deliveries to the webhooks that the caller may manage."""
        return EventRecord.of(self._get("/event/{}", event_id))

    def events(self, cursor: str | None = None, **filters: Unpack[EventFilters]) -> Page[EventRecord]:
        """Return a page of events, newest first; of the last 24 hours without dates."""
        return page_of(EventRecord, self._get("/event/list", query={"cursor": cursor, **filters}))

    def iter_events(self, **filters: Unpack[EventFilters]) -> Iterator[EventRecord]:
        """Yield events, newest first, from page to page."""
        return by_cursor(lambda cursor: self.events(cursor, **filters))

    def event_types(self) -> Sequence[EventType]:
        """Return the types of events: what they mean, the JSON Schema of their payloads, and examples."""
        return [EventType.of(found) for found in self._get("/event/types")]

    def replay(
        self, webhook_id: str, start_date: Date, key: str | None = None, **filters: Unpack[ReplayFilters]
    ) -> Job:
        """Have the events that a webhook missed sent to it, and return the job. The same `key` asks for the same job.

        Without a key it is given one, so that the call can be repeated.
        """
        body = {"webhook_id": webhook_id, "start_date": start_date, **filters}
        return Job.of(self._post("/event/replay", body=body, key=key or uuid.uuid4().hex))

    def open_stream(self, *, last_event_id: str | None = None, **wanted: Any) -> Stream:
        """Return the stream of a webhook's deliveries as they are made; see docs/listen.md for what may be `wanted`.

        It ends with the connection; open the next one with the last event's `id`.
        """
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_event_id} if last_event_id else {})
        call = Call("GET", PREFIX + "/event/stream", query=on_wire(wanted), headers=headers)
        answer = self._connection.raw(call, stream=True)
        if answer.ok and answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            return Stream(answer, self._connection.timeout_s)
        with answer:
            raise error_of(call, answer, envelope_of(answer), self._connection.server)

    def stream_secret(self) -> str:
        """Return what verifies the deliveries of streams for which there is no webhook."""
        return str(self._get("/event/stream/secret")["secret"])
