"""Callers that meet share one transaction; a lonely one waits for nobody."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Caller(Generic[Item, Result]):
    """One caller. Its lock is held until there is something for it to do: lead, or take its result."""

    __slots__ = ("error", "item", "leads", "result", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.leads = False
        self.result: list[Result] = []
        self.error: BaseException | None = None
        self.wake = threading.Lock()
        self.wake.acquire()


class GroupCommit(Generic[Item, Result]):
    """Runs `commit` on whatever items are waiting, one run at a time, in the thread of one of their callers.

    While a run is under way, others' items gather; then the first of those callers leads the next run, with all of
    them. So the cost of a commit is shared under load, nobody waits for a batch to fill, and a caller is woken once.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], tuple[Sequence[Result], Callable[[], object]]]) -> None:
        """`commit` returns the items' results, and what is still to be done for them while the next run goes on."""
        self._commit = commit
        self._gathering: list[_Caller[Item, Result]] = []
        self._running = False
        self._lock = threading.Lock()

    def submit(self, item: Item) -> Result:
        """Return `commit`'s result for `item` once it is committed, or raise what `commit` raised."""
        me: _Caller[Item, Result] = _Caller(item)  # not _Caller[…](item): that costs 10 µs
        with self._lock:
            self._gathering.append(me)
            me.leads = not self._running
            self._running = True
        if not me.leads:
            me.wake.acquire()  # until a leader has committed this item, or hands the lead over
        if me.leads:
            self._lead(me)
        if me.error is not None:
            raise me.error
        return me.result[0]

    def _lead(self, me: _Caller[Item, Result]) -> None:
        with self._lock:
            batch, self._gathering = self._gathering, []
        handed_over = False
        try:
            results, finish = self._commit([caller.item for caller in batch])
            for caller, result in zip(batch, results, strict=True):
                caller.result.append(result)
            handed_over = True
            self._hand_over()
            finish()
        except BaseException as error:
            for caller in batch:
                caller.error = error
        finally:
            if not handed_over:
                self._hand_over()
            for caller in batch:
                if caller is not me:
                    caller.wake.release()

    def _hand_over(self) -> None:
        with self._lock:
            self._running = bool(self._gathering)
            if self._gathering:
                self._gathering[0].leads = True
                self._gathering[0].wake.release()
