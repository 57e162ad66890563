"""Questions to servers that may hang: asked in a thread of their own, so that whoever waits can give up."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from app.models import database

Answer = TypeVar("Answer")


class Bounded(Generic[Answer]):
    """One question. While it is being asked others wait for the same answer, so one thread hangs at most.

    An answer is good for `keep_s` seconds.
    """

    def __init__(self, name: str, keep_s: float = 0.0) -> None:
        self._name = name
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._asked: Future[Answer] | None = None
        self._good_until = 0.0

    def begin(self, ask: Callable[[], Answer]) -> "Future[Answer]":
        """Have `ask` called, unless that is under way or there is an answer that is still good. Wait for `result`."""
        with self._lock:
            known = self._asked
            if known is not None and (not known.done() or time.monotonic() < self._good_until):
                return known
            asked: Future[Answer] = Future()
            self._asked = asked
        threading.Thread(target=self._run, args=(asked, ask), name=self._name, daemon=True).start()
        return asked

    def _run(self, asked: "Future[Answer]", ask: Callable[[], Answer]) -> None:
        try:
            answer = ask()
        except BaseException as error:
            database.close()
            asked.set_exception(error)
        else:
            database.close()
            self._good_until = time.monotonic() + self._keep_s
            asked.set_result(answer)
