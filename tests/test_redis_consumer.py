"""The consumer in Redis: waiting, heads and tails, the dead and their messages, outages, and what is no message."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from dramatiq.brokers.redis import RedisBroker as PlainBroker

from app.errors import DatabaseUnavailable, QueueUnavailable
from app.queue import DELIVERIES, EVENTS, delivery_message
from app.redis_broker import RedisBroker
from app.redis_consumer import RedisConsumer
from scripts import backends
from tests.redis_server import client_of, redis_broker, redis_server
from tests.server import eventually

WAIT_MS = 20
QUEUE = "dramatiq:deliveries"
MESSAGES = f"{QUEUE}.msgs"
DEAD_LETTERS = f"{QUEUE}.XQ"
HEARTBEATS = "dramatiq:__heartbeats__"


@pytest.fixture
def consumer(redis_queue: RedisBroker) -> Iterator[RedisConsumer]:
    made = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    yield made
    made.close()


def enqueue(redis_queue: RedisBroker, *ids: str) -> None:
    redis_queue.enqueue_many([delivery_message(delivery_id) for delivery_id in ids])


def fetch(consumer: RedisConsumer, limit: int = 100) -> list[str]:
    return [message.args[0] for message in consumer.fetch(limit)]


def acks(redis_client: redis.Redis, consumer: RedisConsumer) -> int:
    found: Any = redis_client.scard(f"dramatiq:__acks__.{consumer.id}.deliveries")
    return int(found)


def put_raw(redis_client: redis.Redis, raw: bytes, queue: str = QUEUE, redis_id: str = "raw") -> None:
    redis_client.hset(f"{queue}.msgs", redis_id, raw)
    redis_client.rpush(queue, redis_id)


def test_a_message_ends_the_wait_at_once(redis_queue: RedisBroker) -> None:
    patient = redis_queue.batch_consumer(DELIVERIES, 5_000)
    woken: list[tuple[float, list[str]]] = []
    waiting = threading.Thread(target=lambda: woken.append((0.0, fetch(patient))))
    waiting.start()
    with client_of(redis_queue.url.shown) as other:
        eventually(lambda: any("blmove" in entry["cmd"] and "b" in entry["flags"] for entry in other.client_list()))
    started = time.monotonic()
    enqueue(redis_queue, "a")
    waiting.join()
    assert time.monotonic() - started < 0.5
    assert woken[0][1] == ["a"]
    patient.close()


def test_an_empty_queue_is_waited_for_without_polling(consumer: RedisConsumer, redis_client: redis.Redis) -> None:
    started = time.monotonic()
    assert fetch(consumer) == []
    assert time.monotonic() - started >= WAIT_MS / 1000
    calls: Any = redis_client.info("commandstats")
    assert calls["cmdstat_blmove"]["calls"] == 1


def test_closing_from_another_thread_ends_a_wait(redis_queue: RedisBroker) -> None:
    patient = redis_queue.batch_consumer(DELIVERIES, 300)
    waiting = threading.Thread(target=lambda: patient.fetch(1))
    waiting.start()
    started = time.monotonic()
    patient.close()
    assert time.monotonic() - started < 1.0
    waiting.join(1)
    assert not waiting.is_alive()
    assert patient.fetch(1) == []


def test_what_is_requeued_goes_to_the_head_in_its_order(redis_queue: RedisBroker, consumer: RedisConsumer) -> None:
    enqueue(redis_queue, "a", "b", "c", "d")
    messages = consumer.fetch(3)
    consumer.requeue(messages[1:])
    assert fetch(consumer) == ["b", "c", "d"]


def test_closing_puts_back_what_is_held(redis_queue: RedisBroker, redis_client: redis.Redis) -> None:
    enqueue(redis_queue, "a", "b", "c")
    leaving = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    messages = leaving.fetch(2)
    leaving.ack_many(messages[:1])
    leaving.close()
    assert redis_client.zscore(HEARTBEATS, leaving.id) is None
    staying = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    assert fetch(staying) == ["b", "c"]
    staying.close()


def test_what_a_dead_consumer_held_goes_back_to_the_head(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    enqueue(redis_queue, "a", "b", "c")
    dead = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    assert fetch(dead, 2) == ["a", "b"]
    redis_client.zadd(HEARTBEATS, {dead.id: 1})
    consumer.beat()
    assert "recovered=2" in caplog.text
    assert redis_client.zscore(HEARTBEATS, dead.id) is None
    assert fetch(consumer) == ["a", "b", "c"]
    dead.close()


def test_a_living_consumer_keeps_what_it_holds(redis_queue: RedisBroker, consumer: RedisConsumer) -> None:
    enqueue(redis_queue, "a")
    living = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    assert fetch(living) == ["a"]
    consumer.beat()
    assert fetch(consumer) == []
    living.close()


def test_a_consumer_that_was_asleep_keeps_what_it_holds(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    enqueue(redis_queue, "a")
    messages = consumer.fetch(1)
    redis_client.zadd(HEARTBEATS, {consumer.id: 1})
    consumer.beat()
    assert redis_queue.waiting(DELIVERIES) == 0
    consumer.ack_many(messages)
    assert not redis_client.exists(MESSAGES)


def test_a_plain_worker_is_given_as_long_as_dramatiq_gives_it(
    redis_queue: RedisBroker, redis_client: redis.Redis, redis_here: backends.Running
) -> None:
    enqueue(redis_queue, "a")
    with client_of(redis_here.url) as own:
        plain = PlainBroker(client=own, middleware=[])
        assert next(plain.consume(DELIVERIES)) is not None
    for silent_ms, recovered in ((20_000, 0), (61_000, 1)):
        redis_client.zadd(HEARTBEATS, {plain.broker_id: int(time.time() * 1000) - silent_ms})
        consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
        consumer.beat()
        assert redis_queue.waiting(DELIVERIES) == recovered
        consumer.close()
    assert redis_client.zscore(HEARTBEATS, plain.broker_id) is not None  # it may hold messages of queues not known here


def test_a_beat_costs_one_call_a_second_at_most(consumer: RedisConsumer, redis_client: redis.Redis) -> None:
    consumer.beat()
    before: Any = redis_client.info("commandstats")
    for _ in range(10):
        consumer.beat()
    after: Any = redis_client.info("commandstats")
    assert after["cmdstat_evalsha"]["calls"] == before["cmdstat_evalsha"]["calls"]
    assert redis_client.zscore(HEARTBEATS, consumer.id) is not None


def test_old_dead_letters_are_removed(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    now = int(time.time() * 1000)
    redis_client.zadd(DEAD_LETTERS, {"old": now - redis_queue.dead_message_ttl - 1_000, "new": now})
    redis_client.hset(f"{DEAD_LETTERS}.msgs", mapping={"old": "1", "new": "2"})
    consumer.beat()
    assert redis_client.zrange(DEAD_LETTERS, 0, -1) == [b"new"]
    assert redis_client.hkeys(f"{DEAD_LETTERS}.msgs") == [b"new"]


def test_a_refused_message_goes_to_the_dead_letters(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    enqueue(redis_queue, "a")
    (message,) = consumer.fetch(1)
    consumer.nack(message)
    assert redis_client.zrange(DEAD_LETTERS, 0, -1) == redis_client.hkeys(f"{DEAD_LETTERS}.msgs") == [message.redis_id]
    assert (redis_client.exists(MESSAGES), acks(redis_client, consumer)) == (0, 0)


def test_a_message_without_data_is_passed_over(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    redis_client.rpush(QUEUE, "nothing")
    enqueue(redis_queue, "a")
    assert fetch(consumer) == ["a"]
    assert acks(redis_client, consumer) == 1


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff", b"[]", b'{"args":[]}', b'{"args":' + b"[" * 100_000])
def test_what_is_no_message_becomes_a_dead_letter(
    raw: bytes,
    redis_queue: RedisBroker,
    consumer: RedisConsumer,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
) -> None:
    put_raw(redis_client, raw)
    enqueue(redis_queue, "a")
    assert fetch(consumer) == ["a"]
    assert redis_client.hgetall(f"{DEAD_LETTERS}.msgs") == {b"raw": raw}
    assert redis_client.zscore(DEAD_LETTERS, "raw") is not None
    assert "is no message" in caplog.text


def test_what_is_no_message_is_handed_to_whoever_asks(redis_queue: RedisBroker, redis_client: redis.Redis) -> None:
    handed: list[tuple[str, bytes]] = []
    consumer = redis_queue.batch_consumer(EVENTS, WAIT_MS, lambda redis_id, raw: handed.append((redis_id, raw)))
    put_raw(redis_client, b"{", "dramatiq:events")
    assert consumer.fetch(10) == []
    assert handed == [("raw", b"{")]
    assert redis_client.exists("dramatiq:events", "dramatiq:events.msgs", "dramatiq:events.XQ") == 0
    consumer.close()


def test_what_could_not_be_handed_over_stays_in_the_queue_with_its_batch(
    redis_queue: RedisBroker, redis_client: redis.Redis
) -> None:
    away = True

    def keep(redis_id: str, raw: bytes) -> None:
        if away:
            raise DatabaseUnavailable("it is away")

    consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS, keep)
    enqueue(redis_queue, "a")
    put_raw(redis_client, b"{")
    enqueue(redis_queue, "b")
    with pytest.raises(DatabaseUnavailable):
        consumer.fetch(10)
    assert redis_queue.waiting(DELIVERIES) == 3
    away = False
    assert fetch(consumer) == ["a", "b"]
    consumer.close()


def test_acknowledging_twice_does_no_harm(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    enqueue(redis_queue, "a", "b")
    messages = consumer.fetch(2)
    consumer.ack_many(messages[:1])
    consumer.ack_many(messages)
    consumer.requeue(messages)
    assert (redis_client.exists(MESSAGES), acks(redis_client, consumer)) == (0, 0)


def test_a_late_acknowledgement_leaves_the_message_to_whoever_took_it_over(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    enqueue(redis_queue, "a")
    slow = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    messages = slow.fetch(1)
    redis_client.zadd(HEARTBEATS, {slow.id: 1})
    consumer.beat()
    slow.ack_many(messages)
    assert fetch(consumer) == ["a"]
    slow.close()


def test_what_an_outage_kept_from_redis_is_told_later(caplog: pytest.LogCaptureFixture) -> None:
    with redis_server() as own, redis_broker(own.url) as redis_queue:
        enqueue(redis_queue, "a", "b", "c", "d")
        consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
        messages = consumer.fetch(4)
        with client_of(own.url) as redis_client:
            redis_client.config_set("save", "3600 1")
            redis_client.save()
        own.kill()
        started = time.monotonic()
        consumer.ack_many(messages[:1])
        consumer.requeue(messages[1:3])
        consumer.beat()
        with pytest.raises(QueueUnavailable, match="Redis: "):
            consumer.fetch(1)
        assert time.monotonic() - started < 1.0
        assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
        own.start()
        eventually(lambda: fetch(consumer) == ["b", "c"])
        with client_of(own.url) as redis_client:
            assert acks(redis_client, consumer) == 3
            assert redis_client.hlen(MESSAGES) == 3
        consumer.close()


def test_a_beat_tells_it_too(redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis) -> None:
    enqueue(redis_queue, "a", "b")
    messages = consumer.fetch(2)
    redis_client.acl_setuser("default", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-evalsha"])
    try:
        consumer.ack_many(messages)
        assert acks(redis_client, consumer) == 2
    finally:
        redis_client.acl_setuser("default", enabled=True, nopass=True, keys=["*"], commands=["+@all"])
    eventually(lambda: [consumer.beat(), acks(redis_client, consumer)][1] == 0)


def test_what_came_in_an_answer_that_was_lost_comes_again(
    redis_queue: RedisBroker, redis_client: redis.Redis, redis_here: backends.Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.redis_consumer.SOCKET_TIMEOUT_S", 0.2)
    consumer = redis_queue.batch_consumer(DELIVERIES, WAIT_MS)
    enqueue(redis_queue, "a", "b")
    held = consumer.fetch(1)
    os.kill(redis_here.pid, signal.SIGSTOP)
    try:
        with pytest.raises(QueueUnavailable):
            consumer.fetch(1)
    finally:
        os.kill(redis_here.pid, signal.SIGCONT)
    eventually(lambda: acks(redis_client, consumer) == 2)
    assert fetch(consumer) == ["b"]
    consumer.ack_many(held)
    assert acks(redis_client, consumer) == 1
    consumer.close()


def test_a_wiped_redis_does_not_stop_a_consumer(
    redis_queue: RedisBroker, consumer: RedisConsumer, redis_client: redis.Redis
) -> None:
    enqueue(redis_queue, "a")
    messages = consumer.fetch(1)
    redis_client.flushall()
    redis_client.script_flush()
    consumer.ack_many(messages)
    consumer.requeue(messages)
    enqueue(redis_queue, "b")
    assert fetch(consumer) == ["b"]
