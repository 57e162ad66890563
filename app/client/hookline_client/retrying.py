"""When a call is made again, and how long it waits before."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from hookline_client.errors import AddressError, CertificateError, ClientError, ConnectError

T = TypeVar("T")
Wait = Callable[[float], bool]

TRY_AGAIN = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often and how long a call that may be repeated is tried; all times are in seconds.

    Before try *n* + 1 it waits `first_pause_s` × 2^(*n* - 1), `longest_pause_s` at most, less a random part of it up to
    `jitter`; never less than the server's Retry-After. A wait that would end more than `total_s` after the first try
    is not begun: the call fails at once.
    """

    tries: int = 5
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    total_s: float = 60.0
    jitter: float = 0.5

    def pause_s(self, error: ClientError, tried: int, elapsed_s: float, chance: float) -> float | None:
        """Return how long to wait after try number `tried` failed with `error`, None to give up. Pure.

        `elapsed_s` is the time since the first try began, `chance` a random number from 0 to 1.
        """
        if tried >= self.tries or not is_passing(error):
            return None
        pause_s = min(self.first_pause_s * 2 ** (tried - 1), self.longest_pause_s) * (1 - self.jitter * chance)
        pause_s = max(pause_s, error.retry_after_s or 0)
        return pause_s if elapsed_s + pause_s <= self.total_s else None


NO_RETRY = Retry(tries=1)


def is_passing(error: ClientError) -> bool:
    """Return whether the same call may succeed a little later."""
    if isinstance(error, AddressError | CertificateError):
        return False
    return isinstance(error, ConnectError) or error.status in TRY_AGAIN


def sleep(seconds: float) -> bool:
    """Wait, and return True: the next try may begin."""
    time.sleep(seconds)
    return True


def repeating(call: Callable[[], T], retry: Retry, wait: Wait = sleep) -> T:
    """Return what `call` does, trying again as `retry` says. Raises the ClientError of the last try.

    `wait` takes the seconds to wait, and returns whether there is to be another try.
    """
    start = time.monotonic()
    for tried in count(1):
        try:
            return call()
        except ClientError as error:
            error.tried = tried
            pause_s = retry.pause_s(error, tried, time.monotonic() - start, random.random())
            if pause_s is None or not wait(pause_s):
                raise
    raise AssertionError("it is tried without end")
