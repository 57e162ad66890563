"""Rate limits of webhooks (app.pacing): shared by all workers in Redis, or in memory where there is one process."""

import threading
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from app.pacing import Wish, delays_ms, due_after, reserve
from app.queue import Broker
from app.redis_broker import RedisBroker
from app.redis_rate_limits import RedisRateLimits

_FORGET_FROM = 1_000


class RateLimits(Protocol):
    """Hands out slots, to whoever asks first. Any thread may ask."""

    def reserve_many(self, wishes: Mapping[str, Wish], now: int) -> dict[str, list[int]]:
        """Return for each webhook's id how long to wait for each slot that it is granted, in ms, in their order.

        A wish is granted in part, or not at all (an empty list), where no more slots start within its horizon. A slot
        is not given back: one that is not used is lost. A changed rate or burst counts from the next call on. `now` is
        ms UTC; limits that processes share go by a clock of their own. Raises QueueUnavailable; then slots may be lost.
        """


class _Kept(NamedTuple):
    next_us: int
    forget_us: int  # when the whole burst is due again, as if nothing were known


class MemoryRateLimits:
    """See RateLimits; for a service that is one process. It forgets webhooks that have been idle."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._forget_at = _FORGET_FROM

    def reserve_many(self, wishes: Mapping[str, Wish], now: int) -> dict[str, list[int]]:
        """See RateLimits. Raises nothing."""
        now_us = now * 1000
        with self._lock:
            slots = {webhook_id: self._reserve(webhook_id, now_us, wish) for webhook_id, wish in wishes.items()}
            if len(self._kept) >= self._forget_at:
                self._forget(now_us)
        return slots

    def _reserve(self, webhook_id: str, now_us: int, wish: Wish) -> list[int]:
        kept = self._kept.get(webhook_id)
        reservation = reserve(0 if kept is None else kept.next_us, now_us, wish)
        if reservation.granted:
            next_us = due_after(reservation, now_us, wish.rate)
            self._kept[webhook_id] = _Kept(next_us, next_us + wish.saved_us)
        return delays_ms(reservation, wish.rate)

    def _forget(self, now_us: int) -> None:
        self._kept = {webhook_id: kept for webhook_id, kept in self._kept.items() if kept.forget_us > now_us}
        self._forget_at = max(_FORGET_FROM, 2 * len(self._kept))


def open_rate_limits(broker: Broker) -> RateLimits:
    """Return the rate limits that go with `broker`: where processes share a queue, they share these too."""
    if isinstance(broker, RedisBroker):
        return RedisRateLimits(broker.client, broker.namespace)
    return MemoryRateLimits()
