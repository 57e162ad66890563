"""The broker in Redis: Dramatiq's wire format, outages, and what it can tell about lost messages."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.redis import RedisBroker as PlainBroker
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import Middleware

from app.clock import now_ms
from app.errors import OperatorError, QueueUnavailable
from app.queue import DELIVER_ACTOR, DELIVERIES, EVENTS, EVENTS_ACTOR, delivery_message
from app.redis_broker import RedisBroker
from app.redis_url import parse_redis_url
from scripts import backends
from tests.redis_server import client_of, redis_broker, redis_server
from tests.server import eventually

WAIT_MS = 20
LEASE_MS = 90_000
SINCE = "dramatiq:hookline:since"
QUEUE = "dramatiq:deliveries"


@pytest.fixture
def plain(redis_here: backends.Running) -> Iterator[PlainBroker]:
    """Dramatiq's own redis_queue, as a producer or worker without Hookline has it."""
    with client_of(redis_here.url) as own:
        yield PlainBroker(client=own, middleware=[])


def fetch(redis_queue: RedisBroker, queue_name: str = DELIVERIES) -> list[Any]:
    consumer = redis_queue.batch_consumer(queue_name, WAIT_MS)
    messages = [message._message for message in consumer.fetch(100)]
    consumer.close()
    return messages


def test_what_it_writes_is_what_dramatiq_writes(
    redis_queue: RedisBroker, redis_client: redis.Redis, plain: PlainBroker
) -> None:
    message = replace(delivery_message("a"), args=({"k": [1, 2.5, None]},), kwargs={"b": True}, options={"o": 1})
    plain.enqueue(message)
    redis_queue.enqueue_many([message])
    first, second = redis_client.lrange(QUEUE, 0, -1)
    theirs, ours = redis_client.hmget(f"{QUEUE}.msgs", [first, second])
    assert ours.replace(second, first) == theirs
    expected = {QUEUE, f"{QUEUE}.msgs", "dramatiq:__heartbeats__", SINCE}
    assert {key.decode() for key in redis_client.scan_iter()} == expected


def test_it_takes_what_a_plain_producer_sends(redis_queue: RedisBroker, plain: PlainBroker) -> None:
    @dramatiq.actor(actor_name=EVENTS_ACTOR, queue_name=EVENTS, broker=plain)
    def publish_events(events: list[Any]) -> None:
        """Only its name counts here."""

    sent = publish_events.send([{"type": "NODE_CREATED", "resourceKey": "/ü"}])
    assert fetch(redis_queue, EVENTS) == [sent]


def test_it_takes_json_from_a_producer_without_dramatiq(redis_queue: RedisBroker, redis_client: redis.Redis) -> None:
    spelled = {"queue_name": "events", "actor_name": "publish_events", "args": [[{"type": "X"}]], "kwargs": {}}
    spelled |= {"options": {"redis_message_id": "1"}, "message_id": "1", "message_timestamp": 1_700_000_000_000}
    redis_client.hset("dramatiq:events.msgs", "1", json.dumps(spelled))
    redis_client.rpush("dramatiq:events", "1")
    (message,) = fetch(redis_queue, EVENTS)
    assert (message.actor_name, message.args) == (EVENTS_ACTOR, ([{"type": "X"}],))


def test_a_plain_worker_does_what_it_enqueues(
    redis_queue: RedisBroker, redis_client: redis.Redis, plain: PlainBroker
) -> None:
    done: list[str] = []

    @dramatiq.actor(actor_name=DELIVER_ACTOR, queue_name=DELIVERIES, broker=plain)
    def deliver(delivery_id: str) -> None:
        done.append(delivery_id)

    worker = dramatiq.Worker(plain, worker_timeout=50, worker_threads=1)
    worker.start()
    try:
        redis_queue.enqueue_many([delivery_message("a"), delivery_message("b")])
        redis_queue.enqueue(delivery_message("c"))
        eventually(lambda: len(done) == 3 and not redis_client.exists(f"{QUEUE}.msgs"))
    finally:
        worker.stop()
    assert sorted(done) == ["a", "b", "c"]


def test_middleware_hears_of_each_message(redis_queue: RedisBroker) -> None:
    heard: list[tuple[str, str]] = []

    class Listener(Middleware):
        def before_enqueue(self, redis_queue: Any, message: Any, delay: int | None) -> None:
            heard.append(("before", message.args[0]))

        def after_enqueue(self, redis_queue: Any, message: Any, delay: int | None) -> None:
            heard.append(("after", message.args[0]))

    redis_queue.add_middleware(Listener())
    redis_queue.enqueue_many([delivery_message("a"), delivery_message("b")])
    assert heard == [("before", "a"), ("before", "b"), ("after", "a"), ("after", "b")]


def test_a_namespace_keeps_queues_apart(
    redis_queue: RedisBroker, redis_here: backends.Running, redis_client: redis.Redis
) -> None:
    with redis_broker(redis_here.url, namespace="other") as other:
        other.enqueue_many([delivery_message("a")])
        assert (redis_queue.waiting(DELIVERIES), other.waiting(DELIVERIES)) == (0, 1)
        assert redis_client.exists("other:deliveries", "other:deliveries.msgs", "other:hookline:since") == 3
        assert [message.args for message in fetch(other)] == [("a",)]


def test_the_url_names_the_database(redis_queue: RedisBroker, redis_here: backends.Running) -> None:
    with redis_broker(f"redis://127.0.0.1:{redis_here.port}/5") as fifth:
        fifth.enqueue_many([delivery_message("a")])
        assert redis_queue.waiting(DELIVERIES) == 0
    with client_of(f"redis://127.0.0.1:{redis_here.port}/5") as own:
        assert own.llen(QUEUE) == 1


def test_a_wiped_redis_has_lost_all_that_was_enqueued_before(
    redis_queue: RedisBroker, redis_client: redis.Redis
) -> None:
    redis_client.set(SINCE, 1)
    redis_queue.enqueue_many([delivery_message("a")])
    now = now_ms()
    assert redis_queue.lost_before(DELIVERIES, now, LEASE_MS) < now - LEASE_MS + 5_000
    redis_client.flushall()
    assert redis_queue.lost_before(DELIVERIES, now, LEASE_MS) == now
    assert redis_queue.lost_before(DELIVERIES, now + 1_000, LEASE_MS) == now
    assert redis_queue.lost_before(DELIVERIES, now + 2 * LEASE_MS, LEASE_MS) == now + LEASE_MS


def test_another_process_that_opens_leaves_the_mark(
    redis_queue: RedisBroker, redis_client: redis.Redis, redis_here: backends.Running
) -> None:
    redis_client.set(SINCE, 1)
    with redis_broker(redis_here.url):
        assert redis_client.get(SINCE) == b"1"


def test_a_head_that_cant_be_read_does_not_count(redis_queue: RedisBroker, redis_client: redis.Redis) -> None:
    redis_client.set(SINCE, 1)
    redis_client.rpush(QUEUE, "missing", "broken")
    redis_client.hset(f"{QUEUE}.msgs", "broken", b"{")
    assert redis_queue.lost_before(DELIVERIES, 500_000, 1_000) == 499_000
    redis_queue.enqueue_many([replace(delivery_message("a"), message_timestamp=200_000)])
    assert redis_queue.lost_before(DELIVERIES, 500_000, 1_000) == 199_000


def test_a_message_from_the_future_makes_nothing_lost(redis_queue: RedisBroker, redis_client: redis.Redis) -> None:
    redis_client.set(SINCE, 1)
    redis_queue.enqueue_many([replace(delivery_message("a"), message_timestamp=900_000)])
    assert redis_queue.lost_before(DELIVERIES, 500_000, 1_000) == 499_000


def test_a_full_redis_takes_none_of_a_batch_and_still_gives(
    redis_queue: RedisBroker, redis_client: redis.Redis, redis_here: backends.Running
) -> None:
    redis_queue.enqueue_many([delivery_message("a"), delivery_message("b")])
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable, match="memory"):
            redis_queue.enqueue_many([delivery_message("c")])
        with redis_broker(redis_here.url) as opened_when_full:
            assert opened_when_full.waiting(DELIVERIES) == 2
        consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
        consumer.beat()
        consumer.requeue(consumer.fetch(2))
        messages = consumer.fetch(2)
        assert [message.args[0] for message in messages] == ["a", "b"]
        consumer.ack_many(messages)
        consumer.close()
        assert redis_client.exists(QUEUE, f"{QUEUE}.msgs") == 0
    finally:
        redis_client.config_set("maxmemory", 0)
    redis_queue.enqueue_many([delivery_message("c")])
    assert redis_queue.waiting(DELIVERIES) == 1


def test_without_redis_it_says_so_at_once_and_works_when_redis_is_back() -> None:
    with redis_server() as own, redis_broker(own.url) as redis_queue:
        redis_queue.enqueue_many([delivery_message("a")])
        own.kill()
        started = time.monotonic()
        with pytest.raises(QueueUnavailable, match="Redis: "):
            redis_queue.enqueue_many([delivery_message("b")])
        with pytest.raises(QueueUnavailable, match="a moment ago"):
            redis_queue.enqueue_many([delivery_message("c")])
        with pytest.raises(QueueUnavailable):
            redis_queue.lost_before(DELIVERIES, 1, 1)
        with pytest.raises(QueueUnavailable):
            redis_queue.waiting(DELIVERIES)
        with pytest.raises(QueueUnavailable):
            redis_queue.enqueue(delivery_message("d"))
        assert time.monotonic() - started < 1.0
        own.start()
        eventually(lambda: enqueues(redis_queue))
        now = now_ms()
        assert redis_queue.lost_before(DELIVERIES, now, LEASE_MS) == now  # this Redis keeps nothing on disk
        assert [message.args for message in fetch(redis_queue)] == [("again",)]


def enqueues(redis_queue: RedisBroker) -> bool:
    try:
        redis_queue.enqueue_many([delivery_message("again")])
    except QueueUnavailable:
        return False
    return True


def test_a_silent_redis_is_an_outage_to_dramatiqs_own_consumers_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        url = replace(parse_redis_url(f"redis://127.0.0.1:{port}"), options={"port": port, "socket_timeout": 0.1})
        consumer = RedisBroker(url).consume(EVENTS)
        with pytest.raises(ConnectionClosed):
            next(consumer)


def test_a_password_is_used_and_never_shown() -> None:
    with redis_server("--requirepass", "s3cret@1") as own:
        with redis_broker(f"redis://:s3cret%401@127.0.0.1:{own.port}/0") as redis_queue:
            redis_queue.enqueue_many([delivery_message("a")])
            assert [message.args for message in fetch(redis_queue)] == [("a",)]
        for userinfo in ("", ":wr0ng@", "nobody:wr0ng@"):
            with pytest.raises(OperatorError, match="REDIS_URL") as raised:
                RedisBroker(parse_redis_url(f"redis://{userinfo}127.0.0.1:{own.port}/0")).open()
            assert "wr0ng" not in str(raised.value)
            assert "\n" not in str(raised.value)


def test_it_names_the_address_that_it_cant_reach() -> None:
    port = backends.free_port()
    with pytest.raises(OperatorError, match=f"REDIS_URL: redis://127.0.0.1:{port}/0 can't be used: "):
        RedisBroker(parse_redis_url(f"redis://:hidden@127.0.0.1:{port}/0")).open()


def test_it_refuses_a_database_that_is_not_there(redis_here: backends.Running) -> None:
    redis_queue = RedisBroker(parse_redis_url(f"redis://127.0.0.1:{redis_here.port}/9999"))
    with pytest.raises(OperatorError, match=r"9999.*out of range"):
        redis_queue.open()
    redis_queue.close()


def test_it_refuses_a_server_that_is_too_old() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        answering = threading.Thread(target=answer_as_an_old_redis, args=(listening,))
        answering.start()
        redis_queue = RedisBroker(parse_redis_url(f"redis://127.0.0.1:{listening.getsockname()[1]}"))
        with pytest.raises(OperatorError, match=r"is Redis 6\.0\.16; it must be 6\.2 or later"):
            redis_queue.open()
        redis_queue.close()
        answering.join()


def answer_as_an_old_redis(listening: socket.socket) -> None:
    connection, _ = listening.accept()
    with connection, connection.makefile("rb") as lines:
        while head := lines.readline():
            words = []
            for _ in range(int(head[1:])):
                words.append(lines.read(int(lines.readline()[1:])))
                lines.readline()
            info = b"redis_version:6.0.16"
            connection.sendall(b"$%d\r\n%s\r\n" % (len(info), info) if words[0] == b"INFO" else b"+OK\r\n")


def test_closing_it_closes_its_connections(redis_here: backends.Running, redis_client: redis.Redis) -> None:
    with redis_broker(redis_here.url) as redis_queue:
        consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
        assert consumer.fetch(1) == []
        assert len(redis_client.client_list()) == 3
        consumer.close()
        eventually(lambda: len(redis_client.client_list()) == 2)
    eventually(lambda: len(redis_client.client_list()) == 1)
