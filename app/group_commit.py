"""Callers that meet share one transaction; a lonely one waits for nobody."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class GroupCommit(Generic[Item, Result]):
    """Runs `commit` on whatever items are waiting, one run at a time, in the thread of one of their callers.

    While a run is under way, others' items gather; whoever comes next commits all of them at once. So the cost of a
    commit is shared under load, and nobody ever waits for a batch to fill.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._commit = commit
        self._waiting: deque[tuple[Item, Future[Result]]] = deque()
        self._turn = threading.Lock()

    def submit(self, item: Item) -> Result:
        """Return `commit`'s result for `item` once it is committed, or raise what `commit` raised."""
        mine: Future[Result] = Future()
        self._waiting.append((item, mine))
        with self._turn:
            if not mine.done():
                self._run()
        return mine.result()

    def _run(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            results = self._commit([item for item, _ in batch])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
