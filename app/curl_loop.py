"""The transport's thread from inside: libcurl's multi handle, the sockets that it wants watched, and alarms.

libcurl tells through a callback which sockets to watch (curl_multi_socket_action), so the loop sleeps in epoll until
something happens: an answer, a time-out of libcurl's, an alarm, or something new to do (through an eventfd). How long
to wait is asked for once a turn: the callback for that comes twice a request, and each callback takes the interpreter's
lock.
"""

import heapq
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from itertools import count

import pycurl

from app.exchange import Exchange, Outcome, Request
from app.names import Names

log = logging.getLogger(__name__)

Done = Callable[[Outcome], None]

_WATCH = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_ERRORS = select.EPOLLERR | select.EPOLLHUP


class CurlLoop:
    """Runs exchanges that `make` makes. All of it belongs to one thread."""

    def __init__(self, make: Callable[[], Exchange], capacity: int, wake: int, names: Names) -> None:
        self._make = make
        self._capacity = capacity
        self._wake = wake
        self._names = names
        self._under_way: dict[pycurl.Curl, tuple[Exchange, Done]] = {}
        self._spare: list[Exchange] = []
        self._alarms: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._epoll = select.epoll()
        self._epoll.register(wake, select.EPOLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, capacity)
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)

    def start(self, request: Request, done: Done) -> None:
        """Begin one exchange."""
        plain = request.client_certificate is None
        exchange = self._spare.pop() if plain and self._spare else self._make()
        try:
            exchange.begin(request)
        except (pycurl.error, UnicodeEncodeError, ValueError) as error:
            tell(done, exchange.unsendable(error))
            return
        if exchange.name is None:
            self.go_on(exchange, done, ())
        else:
            self._look_up(exchange.name, request.timeout_ms, _Waiting(self, exchange, done))

    def go_on(self, exchange: Exchange, done: Done, addresses: Sequence[str]) -> None:
        """Let libcurl work on an exchange that has begun, at `addresses`; it asks through its timer to be driven."""
        outcome = exchange.proceed(addresses)
        if outcome is not None:
            tell(done, outcome)
            return
        self._under_way[exchange.curl] = (exchange, done)
        self._multi.add_handle(exchange.curl)

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Run `call` once `when` (monotonic seconds) has come."""
        heapq.heappush(self._alarms, (when, next(self._order), call))

    @property
    def under_way(self) -> int:
        """How many exchanges libcurl works on."""
        return len(self._under_way)

    def turn(self, most_ms: int | None) -> bool:
        """Wait for something to happen, let libcurl act on it, report the exchanges that ended.

        It waits `most_ms` at most, None for as long as it takes. Return whether anything had happened.
        """
        happened = self._epoll.poll(self._patience(most_ms))
        for fd, mask in happened:
            if fd == self._wake:
                os.eventfd_read(self._wake)
            else:
                self._act(fd, mask)
        is_due = self._multi.timeout() == 0
        if is_due:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        self._report()
        if self._alarms:
            self._ring(time.monotonic())
        return is_due or bool(happened)

    def close(self) -> None:
        """Abandon what is under way."""
        for handle in self._under_way:
            self._multi.remove_handle(handle)
        self._multi.close()
        self._epoll.close()

    def _patience(self, most_ms: int | None) -> float | None:
        """Return how long to sleep, in seconds; None for no bound."""
        if most_ms == 0:
            return 0
        patience_ms = self._multi.timeout()
        if most_ms is not None and not 0 <= patience_ms <= most_ms:
            patience_ms = most_ms
        patience = patience_ms / 1000 if patience_ms >= 0 else None
        if not self._alarms:
            return patience
        until_alarm = max(0.0, self._alarms[0][0] - time.monotonic())
        return until_alarm if patience is None else min(patience, until_alarm)

    def _ring(self, now: float) -> None:
        while self._alarms and self._alarms[0][0] <= now:
            run(heapq.heappop(self._alarms)[2])

    def _look_up(self, name: str, timeout_ms: int, waiting: "_Waiting") -> None:
        self._names.look_up(name, waiting.known)
        if not waiting.is_over:
            self.call_at(time.monotonic() + timeout_ms / 1000, waiting.late)

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
        if exchange.reusable and len(self._spare) < self._capacity:
            self._spare.append(exchange)
        tell(done, outcome)

    def _watch(self, what: int, fd: int, _multi: object, known: object) -> None:
        if what == pycurl.POLL_REMOVE:
            if known:
                self._epoll.unregister(fd)
        elif known:
            self._epoll.modify(fd, _WATCH[what])
        else:
            self._epoll.register(fd, _WATCH[what])
            self._multi.assign(fd, True)


class _Waiting:
    """An exchange whose name is being looked up. It goes on once that is known, unless its time is up before."""

    def __init__(self, loop: CurlLoop, exchange: Exchange, done: Done) -> None:
        self.is_over = False
        self._loop = loop
        self._exchange = exchange
        self._done = done

    def known(self, addresses: Sequence[str]) -> None:
        """Go on."""
        if not self.is_over:
            self.is_over = True
            self._loop.go_on(self._exchange, self._done, addresses)

    def late(self) -> None:
        """End: the time is up."""
        if not self.is_over:
            self.is_over = True
            tell(self._done, self._exchange.late())


def tell(done: Done, outcome: Outcome) -> None:
    """Call back. A defect in there must not end all requests of the process."""
    try:
        done(outcome)
    except Exception:
        log.exception("the callback of a request failed")


def run(call: Callable[[], None]) -> None:
    """Run what was to be done in the transport's thread. The same holds for it."""
    try:
        call()
    except Exception:
        log.exception("a call in the transport's thread failed")
