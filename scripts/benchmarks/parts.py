"""The receiver's and the driver's processes, seen from the benchmark."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from .driver import Load, Outcome
from .processes import BenchError, Helper, running

CHECK_S = 0.5
GRACE_S = 10.0
PREPARE_S = 60.0
Progress = Callable[[float], None]
Check = Callable[[], None]


def ignore(part: float) -> None:
    """Show no progress."""


def _nothing() -> None:
    """Check nothing."""


class Receiver(Helper):
    """The receiver's process, seen from the benchmark."""

    def __init__(self, *, delay_s: float = 0.0, marks: bool = False) -> None:
        super().__init__("receiver", "--delay", str(delay_s), *(["--marks"] if marks else []))
        self.port = int(self.hear(GRACE_S)["port"])
        self._reached = False

    def url(self, webhook: int) -> str:
        """Return the URL of the webhook with that number."""
        return f"http://127.0.0.1:{self.port}/hook/{webhook}"

    def expect(self, requests: int) -> None:
        """Start counting towards `requests`, of all that arrive from the receiver's start."""
        self._reached = False
        self.tell(f"expect {requests}")

    def wait_first(self, timeout_s: float) -> None:
        """Wait until a first request has arrived. Raises BenchError when none has after `timeout_s` seconds."""
        try:
            self._reached = "reached" in self.hear(timeout_s)
        except TimeoutError as error:
            raise BenchError(f"no request arrived in {timeout_s:.0f} s") from error

    def wait(self, requests: int, timeout_s: float, progress: Progress = ignore, check: Check = _nothing) -> None:
        """Wait until as many requests as were expected have arrived; `progress` is told the part that has.

        `check` is called while nothing arrives; what it raises ends the wait. Raises BenchError when the requests
        have not arrived after `timeout_s` seconds.
        """
        deadline, count = time.monotonic() + timeout_s, 0
        while not self._reached:
            try:
                answer = self.hear(CHECK_S)
            except TimeoutError as error:
                check()
                if time.monotonic() > deadline:
                    raise BenchError(f"{count} of {requests} requests arrived in {timeout_s:.0f} s") from error
                continue
            self._reached = "reached" in answer
            count = answer.get("count", count)
            progress(1.0 if self._reached else count / requests)

    def stats(self) -> dict[str, Any]:
        """Return what it counted: `count`, `open`, `most_open`, and `arrived` by mark."""
        self.tell("stats")
        while "arrived" not in (answer := self.hear(GRACE_S)):
            pass
        return answer


class Driver(Helper):
    """The driver's process, seen from the benchmark; ready to start when it has been made."""

    def __init__(self, load: Load) -> None:
        super().__init__("driver")
        self._outcome: Outcome | None = None
        self._timeout_s = load.timeout_s
        self.tell(json.dumps(asdict(load)))
        self.hear(PREPARE_S)

    def start(self) -> None:
        """Let it begin."""
        self.tell("go")

    def check(self) -> None:
        """Raise BenchError where the load has ended because a call failed or was refused."""
        if self._outcome is None:
            with contextlib.suppress(TimeoutError):
                self._outcome = Outcome(**self.hear(0.0))
        if self._outcome is not None and self._outcome.problem:
            raise BenchError(f"publishing failed: {self._outcome.problem}")

    def finish(self) -> Outcome:
        """Wait for the end of the load and return what came of it. Raises BenchError as `check` does."""
        try:
            self._outcome = self._outcome or Outcome(**self.hear(self._timeout_s + GRACE_S))
        except TimeoutError as error:
            raise BenchError(str(error)) from error
        self.check()
        return self._outcome


@contextlib.contextmanager
def driving(load: Load) -> Iterator[Driver]:
    """Give a driver for `load`, ready to start, and end it after the block."""
    with running(Driver(load)) as driver:
        yield driver
