"""The scenario that asks for memory: a worker's with many requests in flight, and with many messages waiting."""

import contextlib
import time
from collections.abc import Callable, Sequence

import redis

from app.clock import now_ms
from app.ids import new_id
from app.models import Delivery, Event
from app.queue import DELIVERIES, delivery_message

from .context import Context
from .driver import Load
from .flow import BATCH, PUBLISHERS, one_each, publish
from .measure import CpuClock, Sample
from .parts import Progress, Receiver
from .processes import BenchError, running
from .rows import delivery_rows, event_rows, table_of
from .server import Server, serving

SAMPLE_S = 0.05
EVENTS = 1_000  # that the waiting deliveries share
PIPELINE = 5_000  # messages in one round trip
NAMESPACE = "dramatiq"
Fill = Callable[[Context, Server, Sequence[str]], None]


def memory(context: Context) -> Sample:
    """The worker's resident memory while many requests wait for a slow receiver, at its highest; MB of 10^6 bytes.

    With Redis, the same once more while many messages wait there.
    """
    sample = _memory(context, publish_enough)
    if context.deployment.broker == "redis":
        waiting = _memory(context, fill_queue)
        sample.figures["rss_waiting_mb"] = waiting.figures["rss_mb"]
        sample.details["waiting"] = waiting.details
    return sample


def _memory(context: Context, fill: Fill) -> Sample:
    sizes = context.sizes
    with serving(context) as server, running(Receiver(delay_s=sizes.slow_answer_s)) as receiver:
        ids = server.register((receiver.url(number), repository) for number, repository in one_each(sizes.webhooks))
        before = server.rss_mb("worker")
        fill(context, server, ids)
        clock = CpuClock({"receiver": receiver, **server.parts})
        highest, most = _watch(server, receiver, context)
        shares = clock.shares()
    return Sample({"rss_mb": highest}, shares, {"before_mb": before, "most_in_flight": most})


def publish_enough(context: Context, server: Server, webhook_ids: Sequence[str]) -> None:
    """Publish twice as many events as requests are to be in flight."""
    events = 2 * context.sizes.in_flight
    publish(server, Load(connections=PUBLISHERS, events=events, batch=BATCH, repositories=len(webhook_ids)))


def fill_queue(context: Context, server: Server, webhook_ids: Sequence[str]) -> None:
    """Have many messages wait in Redis, written straight there, and their deliveries straight to the database."""
    number, now = context.sizes.waiting_messages, now_ms()
    delivery_ids = [new_id() for _ in range(number)]
    events = [(new_id(), now) for _ in range(min(EVENTS, number))]
    rows = delivery_rows(delivery_ids, webhook_ids, [event_id for event_id, _ in events], now)
    server.pause("worker")
    server.database.load(table_of(Event), event_rows(events))
    server.database.load(table_of(Delivery), rows, lambda done: context.progress(done / number / 2))
    server.database.settle([table_of(Delivery).name])
    enqueue(server.redis_url or "", delivery_ids, lambda part: context.progress((1 + part) / 2))
    server.resume("worker")


def enqueue(url: str, delivery_ids: Sequence[str], progress: Progress) -> None:
    """Put a message for each delivery into the queue, as Dramatiq's broker does it one by one."""
    queue = f"{NAMESPACE}:{DELIVERIES}"
    with contextlib.closing(redis.Redis.from_url(url)) as client:
        for start in range(0, len(delivery_ids), PIPELINE):
            messages = dict(_message(delivery_id) for delivery_id in delivery_ids[start : start + PIPELINE])
            with client.pipeline(transaction=False) as pipe:
                pipe.hset(f"{queue}.msgs", mapping=messages)
                pipe.rpush(queue, *messages)
                pipe.execute()
            progress((start + len(messages)) / len(delivery_ids))


def _message(delivery_id: str) -> tuple[str, bytes]:
    """Return the id by which Redis knows a message, which is one of its options, and the message."""
    redis_id = new_id()
    return redis_id, delivery_message(delivery_id).copy(options={"redis_message_id": redis_id}).encode()


def _watch(server: Server, receiver: Receiver, context: Context) -> tuple[float, int]:
    """Return the highest memory while enough requests are in flight, and the most that were.

    It looks until all of a second lot are in flight, and half as long as they wait.
    """
    sizes = context.sizes
    wanted = 2 * sizes.in_flight
    highest, deadline, stop = 0.0, time.monotonic() + sizes.timeout_s, 0.0
    while True:
        stats, now = receiver.stats(), time.monotonic()
        if stats["open"] >= sizes.in_flight:
            highest = max(highest, server.rss_mb("worker"))
        if stats["count"] >= wanted:
            stop = stop or now + sizes.slow_answer_s / 2
            if now >= stop:
                break
        if now > deadline:
            raise BenchError(f"{stats['count']} of {wanted} requests arrived in {sizes.timeout_s:.0f} s")
        time.sleep(SAMPLE_S)
    if not highest:
        raise BenchError(f"{sizes.in_flight} requests in flight were wanted, {stats['most_open']} were there at most")
    return highest, int(stats["most_open"])
