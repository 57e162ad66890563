"""The pipeline of the queue `events`: what is there is accepted in one transaction, then acknowledged."""

import logging
from collections.abc import Sequence

from dramatiq.broker import MessageProxy

from app.clock import now_ms
from app.errors import ServiceUnavailable
from app.ingest import Incoming, ingest, keep_rejected, rejected_row
from app.queue import BatchConsumer
from app.services import Services
from app.traceparent import HEADER
from app.webhooks import trigger_types

log = logging.getLogger(__name__)

# A producer may put thousands of events into a message, and a transaction should stay within some megabytes.
MESSAGES = 50


class EventPipeline:
    """Accepts the events of messages; a message is acknowledged once all of them are durable."""

    def __init__(self, services: Services, consumer: BatchConsumer) -> None:
        self._services = services
        self._consumer = consumer

    def room(self, timeout_s: float) -> int:
        """Return how many messages can be taken."""
        return MESSAGES

    def accept(self, messages: Sequence[MessageProxy]) -> None:
        """Accept the events of `messages`. Raises DatabaseUnavailable; then none is acknowledged."""
        try:
            self._ingest(messages)
        except ServiceUnavailable:
            raise
        except Exception:
            # One of them has what nobody thought of: it must neither be dropped nor stop the others.
            log.exception("messages=%d could not be accepted together", len(messages))
            for message in messages:
                self._accept_or_keep(message)
        self._consumer.ack_many(messages)

    def _accept_or_keep(self, message: MessageProxy) -> None:
        try:
            self._ingest([message])
        except ServiceUnavailable:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            keep_rejected([rejected_row(message.message_id, -1, reason, _arguments(message), now=now_ms())])

    def _ingest(self, messages: Sequence[MessageProxy]) -> None:
        incoming = [Incoming(each.message_id, _arguments(each), each.options.get(HEADER)) for each in messages]
        found = ingest(self._services.publisher, incoming, trigger_types(self._services.settings), now_ms())
        if found.rejected:
            log.warning("rejected=%d events kept: see hookline event rejected", len(found.rejected))

    def tick(self) -> None:
        """Nothing is left for later here."""

    def stop(self, timeout_s: float) -> None:
        """Nothing is under way between two batches."""


def _arguments(message: MessageProxy) -> Sequence[object]:
    """Return what a message calls `publish_events` with; the one argument may come by its name, `events`."""
    if not message.kwargs:
        return list(message.args)
    if not message.args and message.kwargs.keys() == {"events"}:
        return [message.kwargs["events"]]
    return [*message.args, message.kwargs]


def keep_undecodable(message_id: str, raw: bytes) -> None:
    """Keep a message that is none of Dramatiq's. Raises DatabaseUnavailable."""
    keep_rejected([rejected_row(message_id, -1, "not a Dramatiq message", raw, now=now_ms())])
