"""A role that one process at a time has, such as the scheduler's: a row with its holder and an end.

The end is by the database's clock, which all processes share. The holder renews it; where it stops doing so, another
takes the role over once the end has passed.
"""

import os
import secrets
import socket
import time

from app.database import repeat_on_conflict, write_transaction
from app.models import database

TERM_MS = 10_000
RENEW_S = 3

# The epoch comes first: MySQL evaluates from left to right, and would see the new holder already.
_TAKE = """
    UPDATE lease SET epoch = CASE WHEN holder = {mark} THEN epoch ELSE epoch + 1 END,
        holder = {mark}, until_at = {clock} + {term}
    WHERE name = {mark} AND (holder = {mark} OR until_at < {clock})
"""
_RELEASE = "UPDATE lease SET until_at = 0 WHERE name = {mark} AND holder = {mark}"


class Lease:
    """This process's claim to the role `name`."""

    def __init__(self, name: str, term_ms: int = TERM_MS) -> None:
        self.name = name
        self.holder = f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._term_ms = term_ms
        self._held_until = 0.0  # on the monotonic clock, and never later than the end in the database

    @repeat_on_conflict
    def take(self) -> bool:
        """Take the role or renew it, and return whether this process has it. Raises DatabaseUnavailable."""
        asked_at = time.monotonic()
        sql = _TAKE.format(mark=database.param, clock=database.clock_ms, term=self._term_ms)
        with write_transaction():
            changed = database.execute_sql(sql, (self.holder, self.holder, self.name, self.holder)).rowcount
        self._held_until = asked_at + self._term_ms / 1000 if changed else 0.0
        return bool(changed)

    def is_held(self) -> bool:
        """Return whether this process certainly has the role at this moment."""
        return time.monotonic() < self._held_until

    def release(self) -> None:
        """Give the role up at once. Raises DatabaseUnavailable; then it ends by itself."""
        self._held_until = 0.0
        with write_transaction():
            database.execute_sql(_RELEASE.format(mark=database.param), (self.name, self.holder))
