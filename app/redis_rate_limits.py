"""Rate limits that all workers share, kept in Redis and timed by its clock, so that the workers' clocks don't matter.

`{namespace}:hookline:rate:{webhook id}` holds when the webhook's next slot falls due, in microseconds. It expires as
soon as that says no more than a missing key does: the whole burst is due.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import redis

from app.pacing import FURTHEST_US, SECOND_US, Reservation, Wish, delays_ms
from app.redis_client import Outage

# The arithmetic is that of app.pacing: whole numbers well below 2^53, which a Lua number holds exactly.
_RESERVE = f"""
local time = redis.call("TIME")
local now = time[1] * 1000000 + time[2]
local reply = {{}}
for i, key in ipairs(KEYS) do
    local rate, saved = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
    local wanted, horizon = tonumber(ARGV[4 * i - 1]), tonumber(ARGV[4 * i])
    local due = tonumber(redis.call("GET", key) or 0)
    if due > now + {FURTHEST_US} then due = now end
    local first = math.max(due, now - saved) - now
    local fitting = math.ceil((horizon - first + 1) * rate / {SECOND_US})
    local granted = math.max(0, math.min(wanted, fitting))
    if granted > 0 then
        due = now + first + math.ceil(granted * {SECOND_US} / rate)
        redis.call("SET", key, string.format("%.0f", due), "PX", math.ceil((due + saved - now) / 1000) + 1)
    end
    reply[2 * i - 1], reply[2 * i] = first, granted
end
return reply
"""


def rate_key(namespace: str, webhook_id: str) -> str:
    """Return the key of a webhook's next slot."""
    return f"{namespace}:hookline:rate:{webhook_id}"


class RedisRateLimits:
    """See app.rate_limits.RateLimits."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._namespace = namespace
        self._outage = Outage()
        self._script = client.register_script(_RESERVE)

    def reserve_many(self, wishes: Mapping[str, Wish], now: int) -> dict[str, list[int]]:
        """See RateLimits: one round trip. Raises QueueUnavailable, at once where Redis was away a moment ago."""
        if not wishes:
            return {}
        keys = [rate_key(self._namespace, webhook_id) for webhook_id in wishes]
        with self._outage.watch():
            reply: Any = self._script(keys=keys, args=list(_arguments(wishes.values())))
        granted = map(Reservation, reply[::2], reply[1::2])
        return {
            webhook_id: delays_ms(reservation, wish.rate)
            for (webhook_id, wish), reservation in zip(wishes.items(), granted, strict=True)
        }


def _arguments(wishes: Iterable[Wish]) -> Iterable[int]:
    for wish in wishes:
        yield from (wish.rate, wish.saved_us, wish.wanted, wish.horizon_us)
