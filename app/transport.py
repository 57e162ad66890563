"""HTTP out: one libcurl multi loop, in a thread of its own, for all requests of the process."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from app.address_guard import AddressGuard
from app.authorities import Authorities
from app.curl_loop import CurlLoop, Done, run
from app.exchange import Exchange, Outcome, Request
from app.names import Names
from config.networks import Proxy

# While answers keep coming no more than so many requests are under way; where none comes for a moment, as many more
# start. Few connections cost less than many: 33 us a request with 32 under way, 44 with 200, 55 with 500 to one host.
CALM = 64
CALM_MS = 1


class Transport:
    """Sends requests concurrently and calls back with what became of each. Threads may share one.

    The thread starts with the first request. Bounding how many are under way is the caller's part; `capacity` only
    sizes the caches of connections and handles. `ca_bundle` is PEM: authorities besides those that certifi lists.
    """

    def __init__(
        self, guard: AddressGuard, capacity: int, *, ca_bundle: str | None = None, proxy: Proxy | None = None
    ) -> None:
        self._guard = guard
        self._capacity = capacity
        self._proxy = proxy
        self._authorities = Authorities(ca_bundle)
        self._names = Names(self.call_soon)
        self._arrivals: deque[tuple[Request, Done]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def submit(self, requests: Sequence[tuple[Request, Done]]) -> None:
        """Start `requests`; each `done` is called in the transport's thread and must not block."""
        self._arrivals.extend(requests)
        self._rouse()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Run `call` in the transport's thread, where nothing runs beside it. It must be over soon."""
        self._calls.append(call)
        self._rouse()

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Run `call` in the transport's thread at `when` (of time.monotonic(), in seconds) or a few ms after.

        Calls for the same moment run in the order in which they came. Stopping drops them.
        """
        self.call_soon(lambda: self._loop.call_at(when, call))

    def send(self, request: Request) -> Outcome:
        """Send one request and wait for its outcome. Not for the transport's own thread."""
        outcome: Future[Outcome] = Future()
        self.submit([(request, outcome.set_result)])
        return outcome.result()

    def stop(self) -> None:
        """Stop the thread. Requests under way are abandoned: their callbacks are not called. Again is fine."""
        if self._stopping:
            return
        self._stopping = True
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
        self._names.stop()
        self._authorities.close()
        os.close(self._wake)

    def _rouse(self) -> None:
        if self._stopping or threading.current_thread() is self._thread:
            return  # the loop looks at what is new before it sleeps again
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="transport", daemon=True)
                    self._thread.start()
        os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        self._loop = loop = CurlLoop(self._make_exchange, self._capacity, self._wake, self._names)
        try:
            while not self._stopping:
                self._take_calls()
                self._start_arrivals(loop, CALM - loop.under_way)
                if not loop.turn(0 if self._calls else CALM_MS if self._arrivals else None):
                    self._start_arrivals(loop, CALM)
        finally:
            loop.close()

    def _make_exchange(self) -> Exchange:
        return Exchange(self._guard, self._authorities.path, self._proxy)

    def _start_arrivals(self, loop: CurlLoop, count: int) -> None:
        for _ in range(min(count, len(self._arrivals))):
            loop.start(*self._arrivals.popleft())

    def _take_calls(self) -> None:
        for _ in range(len(self._calls)):
            run(self._calls.popleft())
