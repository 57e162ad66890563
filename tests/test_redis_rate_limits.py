"""Rate limits in Redis: shared, timed by its clock, and gone with it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import QueueUnavailable
from app.pacing import SECOND_US, Reservation, Wish, delays_ms, due_after, reserve
from app.redis_broker import RedisBroker
from app.redis_rate_limits import RedisRateLimits, rate_key
from scripts import backends
from tests.redis_server import redis_broker, redis_server
from tests.server import eventually

KEY = rate_key("dramatiq", "w")
ANY_TIME = 0  # it goes by the clock of Redis


def slots_of(limits: RedisRateLimits, wish: Wish) -> list[int]:
    return limits.reserve_many({"w": wish}, ANY_TIME)["w"]


def clock_us(client: redis.Redis) -> int:
    seconds, micros = client.time()
    return int(seconds) * SECOND_US + int(micros)


@pytest.fixture
def limits(redis_queue: RedisBroker) -> RedisRateLimits:
    return RedisRateLimits(redis_queue.client, redis_queue.namespace)


def test_two_processes_that_ask_alternately_share_the_slots(
    limits: RedisRateLimits, redis_here: backends.Running
) -> None:
    with redis_broker(redis_here.url) as other:
        theirs = RedisRateLimits(other.client, other.namespace)
        wish = Wish(1, 1, 5, 60_000)
        asked = [slots_of(either, wish) for either in (limits, theirs, limits, theirs)]
    for turn, slots in enumerate(asked):
        assert [round(slot / 1_000) for slot in slots] == list(range(5 * turn, 5 * turn + 5))


def test_one_call_for_many_webhooks_is_one_round_trip(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    wishes = {f"w{number}": Wish(number, number, number + 1, 0) for number in range(1, 301)}
    limits.reserve_many(wishes, ANY_TIME)
    redis_client.flushall()
    redis_client.config_resetstat()
    granted = limits.reserve_many(wishes, ANY_TIME)
    assert {name: len(slots) for name, slots in granted.items()} == {f"w{n}": n for n in range(1, 301)}
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1
    assert limits.reserve_many({}, ANY_TIME) == {}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.builds(Wish, st.integers(1, 10_000), st.integers(1, 50), st.integers(0, 200), st.integers(0, 70_000)),
    st.integers(SECOND_US, 55 * SECOND_US),
)
def test_it_reckons_as_the_pure_function_does(
    limits: RedisRateLimits, redis_client: redis.Redis, wish: Wish, ahead_us: int
) -> None:
    before = clock_us(redis_client)
    next_us = before + ahead_us
    redis_client.set(KEY, next_us)
    answer = Reservation(*run_script(limits, wish))
    now_us = next_us - answer.first_us  # by the clock of Redis, as it was within the script
    assert before <= now_us <= clock_us(redis_client)
    assert answer == reserve(next_us, now_us, wish)
    assert int(redis_client.get(KEY) or 0) == (due_after(answer, now_us, wish.rate) if answer.granted else next_us)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.builds(Wish, st.integers(1, 10_000), st.integers(1, 2_000), st.integers(0, 3_000), st.integers(0, 2_000)))
def test_it_reckons_as_the_pure_function_does_after_idleness(
    limits: RedisRateLimits, redis_client: redis.Redis, wish: Wish
) -> None:
    redis_client.delete(KEY)
    before = clock_us(redis_client)
    answer = Reservation(*run_script(limits, wish))
    after = clock_us(redis_client)
    assert answer == reserve(0, before, wish)
    stored = int(redis_client.get(KEY) or 0)  # nothing where it has expired already
    assert not stored or before <= stored - due_after(answer, 0, wish.rate) <= after


def run_script(limits: RedisRateLimits, wish: Wish) -> Any:
    return limits._script(keys=[KEY], args=[wish.rate, wish.saved_us, wish.wanted, wish.horizon_us])


def test_slots_are_what_the_pure_function_says(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    wish = Wish(50, 3, 7, 1_000)
    assert (
        slots_of(limits, wish) == delays_ms(reserve(0, clock_us(redis_client), wish), 50) == [0, 0, 0, 20, 40, 60, 80]
    )


def test_a_key_expires_when_the_whole_burst_is_due_again(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    slots_of(limits, Wish(100, 50, 50, 0))
    assert 400 < int(str(redis_client.pttl(KEY))) <= 501
    slots_of(limits, Wish(100, 50, 10, 1_000))
    assert 500 < int(str(redis_client.pttl(KEY))) <= 601
    redis_client.delete(KEY)
    slots_of(limits, Wish(1_000, 1, 1, 0))
    eventually(lambda: not redis_client.exists(KEY), 5)
    assert slots_of(limits, Wish(1_000, 1, 1, 0)) == [0]


def test_where_nothing_is_granted_nothing_is_kept(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    assert slots_of(limits, Wish(1, 1, 0, 1_000)) == []
    assert not redis_client.exists(KEY)


def test_a_wiped_redis_begins_anew(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    slots_of(limits, Wish(1, 2, 9, 5_000))
    redis_client.flushall()
    redis_client.script_flush()
    assert slots_of(limits, Wish(1, 2, 3, 1_000)) == [0, 0, 1_000]


def test_a_clock_that_was_set_back_holds_nothing_up(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    redis_client.set(KEY, clock_us(redis_client) + 3_600 * SECOND_US)
    assert slots_of(limits, Wish(50, 5, 2, 1_000)) == [0, 20]


def test_namespaces_have_limits_of_their_own(limits: RedisRateLimits, redis_client: redis.Redis) -> None:
    slots_of(limits, Wish(1, 1, 1, 0))
    assert slots_of(RedisRateLimits(redis_client, "other"), Wish(1, 1, 1, 0)) == [0]
    assert {key.decode() for key in redis_client.scan_iter("*:rate:*")} == {KEY, rate_key("other", "w")}


def test_four_workers_together_keep_to_the_rate(
    limits: RedisRateLimits, redis_client: redis.Redis, redis_here: backends.Running
) -> None:
    """Half a second of 200/s after a burst of 100; each worker has connections of its own, and takes what there is."""
    wish = Wish(200, 100, 100, 0)
    begun = clock_us(redis_client)
    assert len(slots_of(limits, wish)) == 100

    def work(_: int) -> int:
        with redis_broker(redis_here.url) as mine:
            own, granted, is_over = RedisRateLimits(mine.client, mine.namespace), 0, False
            while not is_over:
                is_over = clock_us(redis_client) > begun + SECOND_US // 2
                granted += len(slots_of(own, wish))
            return granted

    with ThreadPoolExecutor(4) as pool:
        granted = sum(pool.map(work, range(4)))
    assert 99 <= granted <= 200 * (clock_us(redis_client) - begun) / SECOND_US + 1


def test_an_outage_is_told_and_not_waited_for_twice() -> None:
    with redis_server() as server, redis_broker(server.url) as broker:
        limits = RedisRateLimits(broker.client, broker.namespace)
        assert slots_of(limits, Wish(1, 1, 1, 0)) == [0]
        server.kill()
        with pytest.raises(QueueUnavailable):
            slots_of(limits, Wish(1, 1, 1, 0))
        with pytest.raises(QueueUnavailable, match="a moment ago"):
            slots_of(limits, Wish(1, 1, 1, 0))
        server.start()
        eventually(lambda: _answers(limits), 10)


def test_a_redis_that_is_full_is_an_outage(redis_client: redis.Redis, limits: RedisRateLimits) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueUnavailable):
            slots_of(limits, Wish(1, 1, 1, 0))
    finally:
        redis_client.config_set("maxmemory", 0)
    assert slots_of(limits, Wish(1, 1, 1, 0)) == [0]


def _answers(limits: RedisRateLimits) -> bool:
    try:
        return bool(slots_of(limits, Wish(1, 1, 1, 60_000)))
    except QueueUnavailable:
        return False
