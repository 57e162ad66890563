"""Redis as the queue, for `hookline doctor`."""

import time
from collections.abc import Mapping
from typing import Any, cast

from redis.exceptions import AuthenticationError, ResponseError

from app.clock import now_ms
from app.doctor import Check, Finding, broken, doubtful, good
from app.doctor_database import compared
from app.redis_broker import OLDEST_VERSION
from app.redis_client import cause, connect, disconnect
from app.redis_url import parse_redis_url
from config.settings import Settings


def reached(settings: Settings) -> Finding | None:
    """Check that Redis answers, and is new enough."""
    if settings.redis_url is None:
        return None
    try:
        url = parse_redis_url(settings.redis_url)
    except ValueError as error:
        return broken(f"REDIS_URL: {error}", "correct REDIS_URL")
    begun = time.monotonic()
    try:
        about = _info(settings, "server")
    except AuthenticationError as error:
        return broken(f"{url.shown}: {cause(error)}", "correct user and password in REDIS_URL")
    except ResponseError as error:
        return broken(f"{url.shown}: {cause(error)}", "give its user the right to all commands on the keys of Hookline")
    took_ms = (time.monotonic() - begun) * 1000
    version = str(about["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        return broken(f"Redis {version} is too old", "upgrade it to 6.2 or later")
    return good(f"Redis {version} at {url.shown}, keys begin with {settings.redis_namespace}, {took_ms:.0f} ms")


def memory(settings: Settings) -> Finding:
    """Check that Redis drops no messages when it is full."""
    about = _info(settings, "memory")
    policy, most = str(about.get("maxmemory_policy", "noeviction")), int(about.get("maxmemory", 0))
    used = f"{int(about['used_memory']) / 1024**2:.0f} MiB used"
    if policy != "noeviction":
        text = f"maxmemory-policy is {policy}: when it is full, Redis drops messages, and they are late"
        return doubtful(text, "CONFIG SET maxmemory-policy noeviction, and in redis.conf")
    if most and int(about["used_memory"]) > 0.9 * most:
        return doubtful(f"{used} of {most / 1024**2:.0f}", "raise maxmemory; is some worker not running?")
    return good(f"noeviction, {used}")


def persistence(settings: Settings) -> Finding:
    """Say what becomes of the queue when Redis is started anew."""
    about = _info(settings, "persistence")
    if int(about.get("aof_enabled", 0)):
        return good("the queue outlives a restart of Redis (AOF)")
    return good("without AOF: after a restart of Redis the database fills the queue again, within two minutes")


def clock(settings: Settings) -> Finding:
    """Check this machine's clock against that of Redis."""
    client = _client(settings)
    try:
        before = now_ms()
        seconds, microseconds = cast(tuple[int, int], client.time())
        return compared(before, seconds * 1000 + microseconds // 1000, now_ms(), "that of Redis")
    finally:
        disconnect(client)


def _client(settings: Settings) -> Any:
    return connect(parse_redis_url(settings.redis_url or ""))


def _info(settings: Settings, section: str) -> Mapping[str, Any]:
    client = _client(settings)
    try:
        return cast(Mapping[str, Any], client.info(section))
    finally:
        disconnect(client)


_AWAY = "start Redis, or correct host and port in REDIS_URL; the service goes on without it, more slowly"
CHECKS = (
    Check("redis", reached, _AWAY),
    Check("redis memory", memory, _AWAY, needs="redis"),
    Check("redis persistence", persistence, _AWAY, needs="redis"),
    Check("redis clock", clock, _AWAY, needs="redis"),
)
