"""Where the receivers of these examples keep what came until it is dealt with: a table, so a restart forgets nothing.

It keeps the ids for a week too: longer than Hookline tries to deliver.
"""

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

from hookline_client import Message

WEEK_S = 7 * 86_400
AGAIN_S = 60  # before it looks again for what could not be dealt with


class Inbox:
    """A table of deliveries in a SQLite file, and a thread that works through it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._arrived = threading.Event()
        with self._open() as table:
            table.execute("PRAGMA journal_mode = WAL")
            table.execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, at REAL, body BLOB, done INTEGER)")

    def put(self, message: Message) -> bool:
        """Keep a delivery, and return whether it is new. Once this has returned it may be answered."""
        with self._open() as table:
            added = table.execute(
                "INSERT OR IGNORE INTO inbox VALUES (?, ?, ?, 0)", (message.id, time.time(), message.body)
            ).rowcount
            table.execute("DELETE FROM inbox WHERE done AND at < ?", (time.time() - WEEK_S,))
        self._arrived.set()
        return bool(added)

    def work(self, handle: Callable[[str, bytes], Any]) -> None:
        """Have a thread hand over each delivery, those of before a restart too; again where `handle` raises."""
        threading.Thread(target=self._work, args=(handle,), daemon=True).start()

    def _work(self, handle: Callable[[str, bytes], Any]) -> None:
        while True:
            self._arrived.clear()
            with self._open() as table:
                waiting = table.execute("SELECT id, body FROM inbox WHERE NOT done ORDER BY at").fetchall()
            failed = [message_id for message_id, body in waiting if not self._is_done(handle, message_id, body)]
            if failed or not waiting:
                self._arrived.wait(AGAIN_S)

    def _is_done(self, handle: Callable[[str, bytes], Any], message_id: str, body: bytes) -> bool:
        try:
            handle(message_id, body)
        except Exception:
            logging.exception("delivery %s", message_id)
            return False
        with self._open() as table:
            table.execute("UPDATE inbox SET done = 1 WHERE id = ?", (message_id,))
        return True

    @contextlib.contextmanager
    def _open(self) -> Any:
        with contextlib.closing(sqlite3.connect(self._path, timeout=10)) as connection, connection:
            yield connection
