"""The keys of a queue and the scripts that change them, each in one step, as Dramatiq 2.2's dispatch.lua does.

What a queue has in Redis is Dramatiq's, so its producers and workers can share it:

| key | what |
|---|---|
| `{namespace}:{queue}` | list of the ids of waiting messages, the oldest first |
| `{namespace}:{queue}.msgs` | hash from id to encoded message, for waiting and fetched ones |
| `{namespace}:__acks__.{consumer}.{queue}` | set of the ids that a consumer has fetched and not acknowledged |
| `{namespace}:__heartbeats__` | sorted set of the consumers by the time (ms) of their last sign of life |
| `{namespace}:{queue}.XQ`, `….XQ.msgs` | dead letters by time (ms), and their messages |

One more is ours: `{namespace}:hookline:since`, the time (ms) from which on this Redis has kept all it was given.

A Redis at its memory limit refuses a script whose first write takes memory and lets others go on, so each script that
helps to empty a queue begins with a write that frees some, or frees nothing.
"""

from collections.abc import Collection, Sequence
from typing import Any

import redis

# Our consumers give more signs of life than Dramatiq's, so their silence tells sooner; the prefix says which they are.
CONSUMER_PREFIX = "hookline-"

# Lua takes 8,000 values on its stack.
MAX_UNPACK = 2_000

_CLOCK = """
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_ENQUEUE = """
local ids = {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
redis.call("HSET", KEYS[2], unpack(ARGV))
redis.call("RPUSH", KEYS[1], unpack(ids))
"""

_FETCH = (
    _CLOCK
    + """
local ids = redis.call("LPOP", KEYS[1], ARGV[1])
redis.call("ZADD", KEYS[4], now, ARGV[2])
if not ids then return {} end
redis.call("SADD", KEYS[3], unpack(ids))
return {ids, redis.call("HMGET", KEYS[2], unpack(ids))}
"""
)

_ACK = """
local ours = redis.call("SMISMEMBER", KEYS[3], unpack(ARGV))
local ids = {}
for i, id in ipairs(ARGV) do
    if ours[i] == 1 then ids[#ids + 1] = id end
end
if #ids == 0 then return 0 end
redis.call("SREM", KEYS[3], unpack(ids))
redis.call("HDEL", KEYS[2], unpack(ids))
return #ids
"""

_REQUEUE = """
local count = 0
for i = #ARGV, 1, -1 do
    if redis.call("SREM", KEYS[3], ARGV[i]) > 0 and redis.call("HEXISTS", KEYS[2], ARGV[i]) > 0 then
        redis.call("LPUSH", KEYS[1], ARGV[i])
        count = count + 1
    end
end
return count
"""

_BURY = (
    _CLOCK
    + """
for _, id in ipairs(ARGV) do
    if redis.call("SREM", KEYS[3], id) > 0 then
        local message = redis.call("HGET", KEYS[2], id)
        if message then
            redis.call("ZADD", KEYS[5], now, id)
            redis.call("HSET", KEYS[6], id, message)
            redis.call("HDEL", KEYS[2], id)
        end
    end
end
"""
)

_BEAT = (
    _CLOCK
    + """
redis.call("SREM", KEYS[3], "")
redis.call("ZADD", KEYS[4], now, ARGV[1])
"""
)

# Only our own dead are removed from the heartbeats: those of others may hold messages of queues not known here.
_RECOVER = (
    _CLOCK
    + """
local namespace, queue, prefix = ARGV[1], ARGV[2], ARGV[3]
local our_limit, their_limit, keep = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local count = 0
local function acks(consumer, name) return namespace .. ":__acks__." .. consumer .. "." .. name end
local function put_back(key)
    local ids = redis.call("SMEMBERS", key)
    redis.call("DEL", key)
    table.sort(ids)
    for i = #ids, 1, -1 do
        if redis.call("HEXISTS", KEYS[2], ids[i]) > 0 then
            redis.call("LPUSH", KEYS[1], ids[i])
            count = count + 1
        end
    end
end
local silent = redis.call("ZRANGEBYSCORE", KEYS[4], "-inf", now - our_limit, "WITHSCORES")
for i = 1, #silent, 2 do
    local consumer = silent[i]
    local ours = string.sub(consumer, 1, #prefix) == prefix
    if ours or tonumber(silent[i + 1]) <= now - their_limit then
        put_back(acks(consumer, queue))
        local busy = 0
        for j = 7, #ARGV do busy = busy + redis.call("EXISTS", acks(consumer, ARGV[j])) end
        if ours and busy == 0 then redis.call("ZREM", KEYS[4], consumer) end
    end
end
local expired = redis.call("ZRANGEBYSCORE", KEYS[5], "-inf", now - keep, "LIMIT", 0, 1000)
if #expired > 0 then
    redis.call("ZREM", KEYS[5], unpack(expired))
    redis.call("HDEL", KEYS[6], unpack(expired))
end
return count
"""
)

_LEAVE = """
if redis.call("EXISTS", KEYS[3]) == 0 then redis.call("ZREM", KEYS[4], ARGV[1]) end
"""

_HEAD = """
local since = redis.call("GET", KEYS[3])
if not since then
    since = ARGV[1]
    redis.call("SET", KEYS[3], since)
end
local ids = redis.call("LRANGE", KEYS[1], 0, ARGV[2] - 1)
if #ids == 0 then return {since, {}} end
return {since, redis.call("HMGET", KEYS[2], unpack(ids))}
"""


def since_key(namespace: str) -> str:
    """Return the key of the time from which on this Redis has kept all it was given."""
    return f"{namespace}:hookline:since"


def queue_keys(namespace: str, queue_name: str) -> list[str]:
    """Return the list and the hash of a queue."""
    queue = f"{namespace}:{queue_name}"
    return [queue, f"{queue}.msgs"]


def consumer_keys(namespace: str, queue_name: str, consumer_id: str) -> list[str]:
    """Return the list, the hash, the acks, the heartbeats and the two of dead letters that a consumer works with."""
    queue, messages = queue_keys(namespace, queue_name)
    acks = f"{namespace}:__acks__.{consumer_id}.{queue_name}"
    return [queue, messages, acks, f"{namespace}:__heartbeats__", f"{queue}.XQ", f"{queue}.XQ.msgs"]


class BrokerScripts:
    """The scripts of a broker."""

    def __init__(self, client: redis.Redis) -> None:
        self.enqueue = client.register_script(_ENQUEUE)
        self.head = client.register_script(_HEAD)


class ConsumerScripts:
    """The scripts of a consumer; each takes `consumer_keys`."""

    def __init__(self, client: redis.Redis) -> None:
        self.fetch = client.register_script(_FETCH)
        self.ack = client.register_script(_ACK)
        self.requeue = client.register_script(_REQUEUE)
        self.bury = client.register_script(_BURY)
        self.beat = client.register_script(_BEAT)
        self.recover = client.register_script(_RECOVER)
        self.leave = client.register_script(_LEAVE)


def run_in_chunks(script: Any, keys: Sequence[str], ids: Collection[bytes]) -> None:
    """Run `script` over `ids`, as many at a time as Lua takes."""
    rest = list(ids)
    for start in range(0, len(rest), MAX_UNPACK):
        script(keys=keys, args=rest[start : start + MAX_UNPACK])
