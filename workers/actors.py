"""What is run in a worker: the two actors, and the batch consumers that take their place.

The actors are for a plain Dramatiq worker: it gives the same result message by message, only slower.
"""

import secrets
from typing import cast

import dramatiq
from dramatiq.middleware import CurrentMessage

from app.clock import now_ms
from app.delivery import deliver
from app.ingest import Incoming, ingest
from app.queue import DELIVER_ACTOR, DELIVERIES, EVENTS, EVENTS_ACTOR
from app.services import Services
from app.traceparent import HEADER
from app.webhooks import trigger_types
from workers.consumer import BatchConsumerMiddleware, Feed
from workers.deliveries import DeliveryPipeline
from workers.events import EventPipeline, keep_undecodable


def declare_actors(services: Services) -> None:
    """Declare `deliver` and `publish_events` with the broker of `services`."""
    broker = cast(dramatiq.Broker, services.broker)
    broker.add_middleware(CurrentMessage())  # events without an id are given one by their message

    @dramatiq.actor(actor_name=DELIVER_ACTOR, queue_name=DELIVERIES, broker=broker)
    def deliver_now(delivery_id: str) -> None:
        deliver(services, delivery_id, now_ms())

    @dramatiq.actor(actor_name=EVENTS_ACTOR, queue_name=EVENTS, broker=broker)
    def publish_events(*arguments: object, **named: object) -> None:
        message = CurrentMessage.get_current_message()
        message_id = secrets.token_hex(16) if message is None else message.message_id
        traceparent = None if message is None else message.options.get(HEADER)
        given = Incoming(message_id, [*arguments, *named.values()], traceparent)
        ingest(services.publisher, [given], trigger_types(services.settings), now_ms())


def consume_in_batches(services: Services) -> None:
    """Have the worker that is about to start take both queues in batches."""
    broker = services.broker
    feeds = (
        Feed(DELIVERIES, lambda consumer: DeliveryPipeline(services, consumer)),
        Feed(EVENTS, lambda consumer: EventPipeline(services, consumer), keep_undecodable),
    )
    cast(dramatiq.Broker, broker).add_middleware(BatchConsumerMiddleware(broker, feeds))
