"""What has ended is recorded: whatever is there now in one transaction, one at a time, again after an outage."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from app.clock import now_ms
from app.delivery import record
from app.errors import DatabaseUnavailable
from app.services import Services
from workers.desk import Desk
from workers.in_hand import Ended, Pause, apart

log = logging.getLogger(__name__)

# Called in the transport's thread: what is over, and the deliveries whose turn has come by it.
Over = Callable[[Sequence[Ended], Sequence[str]], None]


class Records:
    """Collects what ends and has it recorded at the desk. For the transport's thread, but for `is_owing`."""

    def __init__(self, services: Services, desk: Desk, pause: Pause, over: Over) -> None:
        self._services = services
        self._desk = desk
        self._pause = pause
        self._over = over
        self._ended: list[Ended] = []
        self._in_doubt: set[str] = set()  # deliveries of a commit whose answer never came
        self._recording = False

    @property
    def is_owing(self) -> bool:
        """Whether there is something to record that is not under way."""
        return bool(self._ended)

    def add(self, ended: Ended) -> None:
        """Have an exchange recorded soon: with all others that end in this turn of the loop."""
        if not self._ended:
            self._services.transport.call_soon(self.flush)
        self._ended.append(ended)

    def flush(self) -> None:
        """Have what has ended recorded, unless a batch is under way: then it goes with the next."""
        if not self._ended or self._recording or self._pause.is_on:
            return
        batch, self._ended = self._ended, []
        self._recording = True
        self._desk.run(partial(self._write, batch))

    def look_round(self) -> None:
        """Have failures ended that were followed by successes; see Recorder.look_round."""
        self._desk.run(partial(self._see_failing, now_ms()))

    def _see_failing(self, now: int) -> None:
        try:
            self._services.recorder.look_round(now)
        except DatabaseUnavailable as error:
            log.debug("failing webhooks were not looked at: %s", error)

    def _write(self, batch: Sequence[Ended]) -> None:
        """Commit what has ended."""
        in_doubt = bool(self._in_doubt) and any(ended.held.due.id in self._in_doubt for ended in batch)
        try:
            recorded = record(self._services, [ended.made for ended in batch], now_ms(), in_doubt=in_doubt)
        except DatabaseUnavailable as error:
            log.error("attempts=%d wait to be recorded: %s", len(batch), error)
            self._pause.begin()
            self._in_doubt.update(ended.held.due.id for ended in batch)
            self._services.transport.call_soon(partial(self._keep, batch))
            return
        except Exception:
            log.exception("attempts=%d could not be recorded", len(batch))
            if not apart(self._write, batch):
                self._in_doubt.difference_update(ended.held.due.id for ended in batch)
                self._services.transport.call_soon(partial(self._end, batch, ()))
            return
        self._pause.end()
        self._in_doubt.difference_update(ended.held.due.id for ended in batch)
        self._services.transport.call_soon(partial(self._end, batch, recorded.following))

    def _keep(self, batch: Sequence[Ended]) -> None:
        self._recording = False
        self._ended[:0] = batch

    def _end(self, batch: Sequence[Ended], following: Sequence[str]) -> None:
        self._recording = False
        self.flush()
        self._over(batch, following)
