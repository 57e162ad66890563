"""HTTP out: one libcurl multi loop, in a thread of its own, for all requests of the process.

libcurl tells through a callback which sockets to watch (curl_multi_socket_action), so the loop sleeps in epoll until
something happens: an answer, a time-out of libcurl's, or something new to do (through an eventfd). How long to wait is
asked for once a turn: the callback for that comes twice a request, and each callback takes the interpreter's lock.
"""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import pycurl

from app.address_guard import AddressGuard
from app.exchange import Exchange, Outcome, Request

log = logging.getLogger(__name__)

Done = Callable[[Outcome], None]

# While answers keep coming no more than so many requests are under way; where none comes for a moment, as many more
# start. Few connections cost less than many: 33 us a request with 32 under way, 44 with 200, 55 with 500 to one host.
CALM = 64
CALM_MS = 1

_WATCH = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_ERRORS = select.EPOLLERR | select.EPOLLHUP


class Transport:
    """Sends requests concurrently and calls back with what became of each. Threads may share one.

    The thread starts with the first request. Bounding how many are under way is the caller's part; `capacity` only
    sizes the caches of connections and handles.
    """

    def __init__(self, guard: AddressGuard, capacity: int) -> None:
        self._guard = guard
        self._capacity = capacity
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
        loop = _Loop(self._guard, self._capacity, self._wake)
        try:
            while not self._stopping:
                self._take_calls()
                self._start_arrivals(loop, CALM - loop.under_way)
                if not loop.turn(0 if self._calls else CALM_MS if self._arrivals else None):
                    self._start_arrivals(loop, CALM)
        finally:
            loop.close()

    def _start_arrivals(self, loop: "_Loop", count: int) -> None:
        for _ in range(min(count, len(self._arrivals))):
            loop.start(*self._arrivals.popleft())

    def _take_calls(self) -> None:
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except Exception:  # a defect of ours must not end all requests of the process
                log.exception("a call in the transport's thread failed")


class _Loop:
    """The state of the transport's thread."""

    def __init__(self, guard: AddressGuard, capacity: int, wake: int) -> None:
        self._guard = guard
        self._capacity = capacity
        self._wake = wake
        self._under_way: dict[pycurl.Curl, tuple[Exchange, Done]] = {}
        self._spare: list[Exchange] = []
        self._epoll = select.epoll()
        self._epoll.register(wake, select.EPOLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, capacity)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)

    def start(self, request: Request, done: Done) -> None:
        """Hand one request to libcurl, which asks through its timer to be driven."""
        exchange = self._spare.pop() if self._spare else Exchange(self._guard)
        try:
            exchange.begin(request)
        except (pycurl.error, UnicodeEncodeError, ValueError) as error:
            done(exchange.unsendable(error))
            return
        self._under_way[exchange.curl] = (exchange, done)
        self._multi.add_handle(exchange.curl)

    @property
    def under_way(self) -> int:
        """How many exchanges have begun and not ended."""
        return len(self._under_way)

    def turn(self, most_ms: int | None) -> bool:
        """Wait for something to happen, let libcurl act on it, report the exchanges that ended.

        It waits `most_ms` at most, None for as long as it takes. Return whether anything had happened.
        """
        patience_ms = self._multi.timeout() if most_ms != 0 else 0
        if most_ms is not None and not 0 <= patience_ms <= most_ms:
            patience_ms = most_ms
        happened = self._epoll.poll(patience_ms / 1000 if patience_ms >= 0 else None)
        for fd, mask in happened:
            if fd == self._wake:
                os.eventfd_read(self._wake)
            else:
                self._act(fd, mask)
        is_due = self._multi.timeout() == 0
        if is_due:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._report()
        return is_due or bool(happened)

    def close(self) -> None:
        """Abandon what is under way."""
        for handle in self._under_way:
            self._multi.remove_handle(handle)
        self._multi.close()
        self._epoll.close()

    def _act(self, fd: int, mask: int) -> None:
        action = pycurl.CSELECT_IN if mask & select.EPOLLIN else 0
        action |= pycurl.CSELECT_OUT if mask & select.EPOLLOUT else 0
        action |= pycurl.CSELECT_ERR if mask & _ERRORS else 0
        self._multi.socket_action(fd, action)

    def _report(self) -> None:
        more = 1
        while more:
            more, ended, failed = self._multi.info_read()
            for handle in ended:
                self._finish(handle, 0, "")
            for handle, code, text in failed:
                self._finish(handle, code, text)

    def _finish(self, handle: pycurl.Curl, code: int, text: str) -> None:
        self._multi.remove_handle(handle)
        exchange, done = self._under_way.pop(handle)
        outcome = exchange.end(code, text)
        if len(self._spare) < self._capacity:
            self._spare.append(exchange)
        try:
            done(outcome)
        except Exception:
            log.exception("the callback of a request failed")

    def _watch(self, what: int, fd: int, _multi: object, known: object) -> None:
        if what == pycurl.POLL_REMOVE:
            if known:
                self._epoll.unregister(fd)
        elif known:
            self._epoll.modify(fd, _WATCH[what])
        else:
            self._epoll.register(fd, _WATCH[what])
            self._multi.assign(fd, True)
