"""Which processes of the service are running: each says so every 10 seconds in a row of its own, as long as its loops
move (app.progress).

Nothing depends on it but what shows it: the dashboard, metrics and probes. Times are by the database's clock, which
all processes share.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import NamedTuple

import peewee

from app.database import marks, relax_durability, repeat_on_conflict, unavailable, write_transaction
from app.errors import ServiceUnavailable
from app.ids import new_id
from app.models import database
from app.progress import stalled

log = logging.getLogger(__name__)

WEB = "web"
WORKER = "worker"
SCHEDULER = "scheduler"
SERVE = "serve"  # the process that is all of them
ROLES = (WEB, WORKER, SCHEDULER)

BEAT_S = 10.0
ALIVE_MS = 30_000  # two signs of life may be late
KEPT_MS = 3_600_000
LEAVE_S = 2.0
MOST_SHOWN = 1_000

_RENEW = "UPDATE running_process SET seen_at = {clock} WHERE id = {mark}"
_BEGIN = (
    "INSERT INTO running_process (id, role, host, pid, version, started_at, seen_at) "
    "VALUES ({marks}, {clock} - {mark}, {clock})"
)
_FORGET = "DELETE FROM running_process WHERE seen_at < {clock} - {kept}"
_END = "DELETE FROM running_process WHERE id = {mark}"
_LIST = """
    SELECT role, host, pid, version, started_at, seen_at, {clock} - seen_at FROM running_process
    ORDER BY seen_at DESC LIMIT {most}
"""
_LEASE = "SELECT holder, until_at, epoch, {clock} FROM lease WHERE name = {mark}"


class Process(NamedTuple):
    """A process that is running, or was a while ago. `silent_ms` is how long ago it was seen."""

    role: str
    host: str
    pid: int
    version: str
    started_at: int
    seen_at: int
    silent_ms: int

    @property
    def is_alive(self) -> bool:
        """Return whether it has given a sign of life of late."""
        return self.silent_ms <= ALIVE_MS

    def has_role(self, role: str) -> bool:
        """Return whether it does the work of `role`."""
        return self.role in (role, SERVE)


class Holding(NamedTuple):
    """Who has the scheduler's role, or had it last; `epoch` counts how often it has changed hands."""

    host: str
    pid: str
    until_at: int
    epoch: int
    is_held: bool


class Presence:
    """Says that this process is alive, from a thread of its own. Make it where the process is, after any fork."""

    def __init__(self, role: str) -> None:
        self._row = (new_id(), role, socket.gethostname()[:255], os.getpid(), version("hookline")[:32])
        self._began_at = time.monotonic()
        self._stuck: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Begin to say so. Where the database is away there is a gap, and nothing worse."""
        self._thread.start()

    def stop(self) -> None:
        """Take the row away, and wait for that for two seconds at most: else it goes stale by itself."""
        self._stopping.set()
        self._thread.join(LEAVE_S)

    def _run(self) -> None:
        while True:
            if self._is_moving():
                self._try(self._beat)
            if self._stopping.wait(BEAT_S):
                break
        self._try(self._end)
        database.close()

    def _is_moving(self) -> bool:
        """Return whether the loops of this process do, and say where one begins to be stuck."""
        stuck = stalled()
        for name in stuck:
            if name not in self._stuck:
                log.error("presence role=%s falls silent: loop=%s is stuck", self._row[1], name)
        self._stuck = stuck
        return not stuck

    def _try(self, write: Callable[[], None]) -> None:
        try:
            relax_durability()  # a row that a power cut takes with it is the row of a dead process
            _in_transaction(write)
        except (ServiceUnavailable, peewee.DatabaseError) as error:
            log.warning("presence role=%s is not told: %s", self._row[1], error)

    def _beat(self) -> None:
        sql = {"clock": database.clock_ms, "mark": database.param, "marks": marks(len(self._row)), "kept": KEPT_MS}
        if not database.execute_sql(_RENEW.format(**sql), (self._row[0],)).rowcount:
            ran_ms = int((time.monotonic() - self._began_at) * 1000)
            database.execute_sql(_BEGIN.format(**sql), (*self._row, ran_ms))
        database.execute_sql(_FORGET.format(**sql))

    def _end(self) -> None:
        database.execute_sql(_END.format(mark=database.param), (self._row[0],))


@repeat_on_conflict
def _in_transaction(write: Callable[[], None]) -> None:
    with write_transaction():
        write()


@contextmanager
def present(role: str) -> Iterator[None]:
    """Have this process be seen as one that does the work of `role` while the block runs."""
    presence = Presence(role)
    presence.start()
    try:
        yield
    finally:
        presence.stop()


def running_processes() -> list[Process]:
    """Return the processes that were seen within the last hour, by role and place. Raises DatabaseUnavailable."""
    with unavailable():
        rows = database.execute_sql(_LIST.format(clock=database.clock_ms, most=MOST_SHOWN)).fetchall()
    found = [Process(*row) for row in rows]
    return sorted(found, key=lambda process: (not process.is_alive, process.role, process.host, process.pid))


def missing_roles(processes: Collection[Process]) -> list[str]:
    """Return the roles that none of `processes` does: without one of them the service is not whole."""
    alive = [process for process in processes if process.is_alive]
    return [role for role in ROLES if not any(process.has_role(role) for process in alive)]


def scheduler_lease() -> Holding | None:
    """Return who has the scheduler's role; None where nobody ever had. Raises DatabaseUnavailable."""
    with unavailable():
        sql = _LEASE.format(clock=database.clock_ms, mark=database.param)
        row = database.execute_sql(sql, (SCHEDULER,)).fetchone()
    if row is None or not row[0]:
        return None
    holder, until_at, epoch, now = row
    host, pid, _ = (*holder.rsplit(":", 2), "", "")[:3]
    return Holding(host, pid, until_at, epoch, until_at > now)
