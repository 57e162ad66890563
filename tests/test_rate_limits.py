"""Rate limits in memory, and which ones a process works with."""

from concurrent.futures import ThreadPoolExecutor

from app.memory_broker import MemoryBroker
from app.pacing import Wish
from app.rate_limits import MemoryRateLimits, open_rate_limits
from app.redis_broker import RedisBroker
from app.redis_rate_limits import RedisRateLimits

NOW = 1_700_000_000_000


def test_each_webhook_has_a_rate_of_its_own() -> None:
    limits = MemoryRateLimits()
    wishes = {"a": Wish(50, 2, 4, 1_000), "b": Wish(1, 1, 4, 1_000), "c": Wish(1, 1, 0, 1_000)}
    assert limits.reserve_many(wishes, NOW) == {"a": [0, 0, 20, 40], "b": [0, 1_000], "c": []}
    assert limits.reserve_many({"a": Wish(50, 2, 1, 1_000)}, NOW) == {"a": [60]}
    assert limits.reserve_many({}, NOW) == {}


def test_a_changed_rate_counts_from_the_next_call_on() -> None:
    limits = MemoryRateLimits()
    limits.reserve_many({"w": Wish(2, 1, 1, 0)}, NOW)
    assert limits.reserve_many({"w": Wish(100, 1, 3, 1_000)}, NOW) == {"w": [500, 510, 520]}


def test_twenty_seconds_of_fifty_a_second_are_a_thousand_and_a_burst() -> None:
    limits = MemoryRateLimits()
    granted = 0
    for tick in range(2_000):
        slots = limits.reserve_many({"w": Wish(50, 5, 4, 100)}, NOW + tick * 10)["w"]
        granted += sum(tick * 10 + delay < 20_000 for delay in slots)
    assert granted == 1_000 + 4


def test_threads_never_get_the_same_slot() -> None:
    limits = MemoryRateLimits()

    def ask(_: int) -> list[int]:
        return limits.reserve_many({"w": Wish(1_000, 1, 3, 10_000)}, NOW)["w"]

    with ThreadPoolExecutor(4) as pool:
        slots = [slot for granted in pool.map(ask, range(200)) for slot in granted]
    assert sorted(slots) == list(range(600))


def test_it_forgets_webhooks_that_have_been_idle_and_no_others() -> None:
    limits = MemoryRateLimits()
    limits.reserve_many({"slow": Wish(1, 60, 60)}, NOW)
    for turn in range(50):
        wishes = {f"{turn}-{number}": Wish(10, 1, 1) for number in range(100)}
        limits.reserve_many(wishes, NOW + turn * 1_000)
    assert len(limits._kept) <= 1_000
    assert limits.reserve_many({"slow": Wish(1, 60, 60)}, NOW + 50_000) == {"slow": [0] * 50}


def test_processes_that_share_a_queue_share_rate_limits(redis_queue: RedisBroker) -> None:
    assert isinstance(open_rate_limits(redis_queue), RedisRateLimits)
    assert isinstance(open_rate_limits(MemoryBroker()), MemoryRateLimits)
