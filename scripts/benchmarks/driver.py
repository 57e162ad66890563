"""The load: publishes prepared events over a few connections, from a process of its own, with libcurl's multi engine.

It reads one line of JSON on its standard input, a `Load`, prepares every request, and says `{"ready": true}`. On the
next line it starts; when every call has been answered, it writes a `Outcome` as one line of JSON. It takes 15 to 25 µs
of CPU time a call, so it can't be what limits a server in Python; its share is in the outcome all the same.
"""

import gc
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import pycurl

from .events import EVENT_SIZE, make_batch, make_event, mark_of, repository

LONGEST_WAIT_S = 0.5
EXPLAIN = 300  # bytes of a refusal that are worth showing


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What to publish, and where: `events` events of `size` bytes, numbered from `first`, over `repositories`
    repositories in turn.

    Where `keys` is given, they are of so many resources in turn. `pace` is calls a second, 0 for as fast as the answers
    come. The run is given up after `timeout_s` seconds.
    """

    url: str = ""
    authorization: str = ""
    connections: int
    events: int
    first: int = 0
    batch: int = 1
    repositories: int = 1
    first_repository: int = 0
    keys: int = 0
    size: int = EVENT_SIZE
    pace: float = 0.0
    timeout_s: float = 120.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a load. Times are nanoseconds of the system's clock; `sent_ns` is kept for paced loads only."""

    started_ns: int = 0
    ended_ns: int = 0
    cpu_s: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    latencies_ms: list[float] = field(default_factory=list)
    sent_ns: dict[str, int] = field(default_factory=dict)


class Call:
    """One connection's handle, used again for every call that it makes."""

    def __init__(self, load: Load) -> None:
        self.curl = pycurl.Curl()
        self.started_ns = 0
        self.answer = b""
        for option, value in (
            (pycurl.URL, load.url),
            (pycurl.POST, 1),
            (pycurl.PROXY, ""),
            (pycurl.NOSIGNAL, 1),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.TIMEOUT_MS, int(load.timeout_s * 1_000)),
            (pycurl.WRITEFUNCTION, self._keep),
            (
                pycurl.HTTPHEADER,
                ["Content-Type: application/json", f"Authorization: {load.authorization}", "Expect:"],
            ),
        ):
            self.curl.setopt(option, value)

    def start(self, body: bytes) -> None:
        """Get ready to send `body`; the clock of this call starts."""
        self.answer = b""
        self.curl.setopt(pycurl.POSTFIELDS, body)
        self.started_ns = time.time_ns()

    def _keep(self, data: bytes) -> None:
        self.answer = data[:EXPLAIN]


class Driver:
    """Makes the calls of one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._bodies = list(bodies_of(load))
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAXCONNECTS, load.connections)
        self._idle = [Call(load) for _ in range(load.connections)]
        self._busy: dict[pycurl.Curl, Call] = {}
        self._statuses: Counter[str] = Counter()
        self._next = 0
        self._start_s = 0.0
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """Make every call; return what came of them."""
        outcome, calls = self.outcome, len(self._bodies)
        cpu, self._start_s, outcome.started_ns = time.process_time(), time.monotonic(), time.time_ns()
        while len(outcome.latencies_ms) < calls and outcome.problem is None:
            self._start_those_due()
            self._multi.perform()
            self._collect()
            self._wait()
            if time.monotonic() - self._start_s > self._load.timeout_s:
                outcome.problem = f"{len(outcome.latencies_ms)} of {calls} calls were answered in time"
        outcome.ended_ns, outcome.cpu_s = time.time_ns(), time.process_time() - cpu
        outcome.statuses = dict(self._statuses)
        return outcome

    def _start_those_due(self) -> None:
        while self._idle and self._next < len(self._bodies) and self._until_next() <= 0:
            call = self._idle.pop()
            call.start(self._bodies[self._next])
            if self._load.pace:
                self.outcome.sent_ns[mark_of(self._load.first + self._next)] = call.started_ns
            self._next += 1
            self._busy[call.curl] = call
            self._multi.add_handle(call.curl)

    def _until_next(self) -> float:
        """Return the seconds until the next call is due; not more than 0 when it is."""
        if not self._load.pace:
            return 0.0
        return self._start_s + self._next / self._load.pace - time.monotonic()

    def _collect(self) -> None:
        queued = 1
        while queued:
            queued, answered, failed = self._multi.info_read()
            now = time.time_ns()
            for curl in answered:
                self._finish(curl, now)
            for _, code, reason in failed:
                self.outcome.problem = f"a call failed: {reason} (libcurl {code})"

    def _finish(self, curl: pycurl.Curl, now: int) -> None:
        self._multi.remove_handle(curl)
        call = self._busy.pop(curl)
        self._idle.append(call)
        status = curl.getinfo(pycurl.RESPONSE_CODE)
        self._statuses[str(status)] += 1
        self.outcome.latencies_ms.append((now - call.started_ns) / 1e6)
        if not 200 <= status < 300:
            self.outcome.problem = f"HTTP {status}: {call.answer.decode(errors='replace')}"

    def _wait(self) -> None:
        has_more = self._next < len(self._bodies)
        if self._idle and has_more and not self._load.pace:
            return
        longest = min(LONGEST_WAIT_S, max(0.0, self._until_next())) if self._idle and has_more else LONGEST_WAIT_S
        if not self._busy:
            time.sleep(longest if has_more else 0.0)
        elif self._multi.select(longest) < 0:
            time.sleep(0.001)  # libcurl has no socket to wait for yet


def bodies_of(load: Load) -> Iterator[bytes]:
    """Yield the body of each call of `load`."""
    events = [
        make_event(
            load.first + number,
            repository(load.first_repository + number % load.repositories),
            load.size,
            key=number % load.keys if load.keys else None,
        )
        for number in range(load.events)
    ]
    if load.batch == 1:
        yield from events
    else:
        for start in range(0, load.events, load.batch):
            yield make_batch(events[start : start + load.batch])


def main() -> None:
    """Read a load, prepare it, wait for the word, run it, write the outcome."""
    driver = Driver(Load(**json.loads(sys.stdin.readline())))
    gc.freeze()
    gc.disable()  # a run is short, and its calls leave no cycles
    print(json.dumps({"ready": True}), flush=True)
    if sys.stdin.readline():
        print(json.dumps(asdict(driver.run())), flush=True)


if __name__ == "__main__":
    main()
