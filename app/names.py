"""Names looked up beside the transport's thread, each once however many ask for it.

libcurl looks up names in some twenty threads, one a request: a single webhook whose name server is silent would hold
them all, and every other name would wait. Here a name that hangs holds one thread.
"""

import ipaddress
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from socket import SOCK_STREAM, getaddrinfo
from typing import NamedTuple
from urllib.parse import urlsplit

from app.urls import ascii_url, url_fault

THREADS = 128
FRESH_S = 60.0  # as long as libcurl keeps what it has looked up
FRESH_FAILURE_S = 5.0
MOST_KNOWN = 4_096

Addresses = tuple[str, ...]
Then = Callable[[Addresses], None]


class Place(NamedTuple):
    """Where a URL leads."""

    host: str
    port: int
    is_numeric: bool

    def entries(self, addresses: Sequence[str]) -> list[str]:
        """Return the lines of CURLOPT_RESOLVE that make libcurl take `addresses`, and forget them in its own time."""
        listed = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        return [f"+{self.host}:{self.port}:{listed}", f"+{self.host}.:{self.port}:{listed}"]


@lru_cache(maxsize=1024)
def place_of(url: str) -> Place | None:
    """Return where `url` leads, None for one that no webhook may have: two programs may read two hosts in it."""
    if url_fault(url) is not None:
        return None
    parts = urlsplit(ascii_url(url))
    host = (parts.hostname or "").removesuffix(".")
    return Place(host, parts.port or (443 if parts.scheme == "https" else 80), _is_numeric(host))


class Names:
    """Looks names up. All but the look-ups themselves is done in the transport's thread, which `call_soon` leads to."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], None]) -> None:
        self._call_soon = call_soon
        self._known: dict[str, tuple[Addresses, float]] = {}
        self._waiting: dict[str, list[Then]] = {}
        self._hosts: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    def look_up(self, host: str, then: Then) -> None:
        """Call `then` with the addresses of `host`, none where it does not resolve; at once where they are known."""
        addresses, until = self._known.get(host, ((), 0.0))
        if time.monotonic() < until:
            then(addresses)
            return
        waiting = self._waiting.setdefault(host, [])
        waiting.append(then)
        if len(waiting) == 1:
            self._hosts.put(host)
            self._hire()

    def stop(self) -> None:
        """Let the threads end, each after the look-up that it is at."""
        for _ in self._threads:
            self._hosts.put(None)

    def _hire(self) -> None:
        if len(self._threads) < min(THREADS, len(self._waiting)):
            self._threads.append(threading.Thread(target=self._work, name="names", daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (host := self._hosts.get()) is not None:
            self._call_soon(partial(self._learn, host, _addresses(host)))

    def _learn(self, host: str, addresses: Addresses) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[host] = (addresses, time.monotonic() + (FRESH_S if addresses else FRESH_FAILURE_S))
        for then in self._waiting.pop(host):
            then(addresses)


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(host: str) -> Addresses:
    """Return the addresses of a name or of a number, however it is spelled, in the order of the system's preference."""
    try:
        return tuple(dict.fromkeys(str(found[4][0]) for found in getaddrinfo(host, None, type=SOCK_STREAM)))
    except (OSError, UnicodeError):
        # RFC 6761 §6.3: such a name is the loopback of whoever resolves it, which could be a proxy.
        return ("127.0.0.1",) if host == "localhost" or host.endswith(".localhost") else ()
