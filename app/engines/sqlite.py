"""SQLite."""

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import peewee

from app.engines.base import Engine, Row, insert_sql

# WAL lets readers go on during a commit. synchronous=FULL syncs the log at every commit: what was answered with 202
# survives a power cut. The busy time-out covers foreign programs only; our own processes queue on a lock.
PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -32_000,
    "temp_store": "memory",
    "wal_autocheckpoint": 4_000,
    "journal_size_limit": 64 * 1024 * 1024,
}
BUSY_TIMEOUT_S = 15
ROWS_AT_ONCE = 128  # past that it gets no faster


class SqliteEngine(Engine, peewee.SqliteDatabase):  # type: ignore[misc]  # peewee carries no type information
    """SQLite, in a file."""

    is_embedded = True
    clock_ms = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
    char_length = "LENGTH"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        super().__init__(path, pragmas=PRAGMAS, timeout=BUSY_TIMEOUT_S)

    def product(self) -> str:
        """Return the name and version of the database."""
        return f"SQLite {self.execute_sql('SELECT sqlite_version()').fetchone()[0]}"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Run the block in a transaction that may write.

        SQLite lets one connection write at a time and makes the others poll with growing sleeps. Our own threads and
        processes wait for locks instead, and are woken at once.
        """
        with self._turn, self._file_lock("write"), self.atomic("IMMEDIATE"):
            yield

    def relax_durability(self) -> None:
        """Let this thread's commits survive a crash of the process, but perhaps not a power cut."""
        self.execute_sql("PRAGMA synchronous = normal")

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold off other processes that would migrate."""
        with self._file_lock("migrate"):
            yield

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert `rows`, many in one statement: after each the GIL changes hands, and a busy thread keeps us waiting.

        A power of two at a time makes few different statements, which the driver keeps prepared.
        """
        start = 0
        while start < len(rows):
            size = min(ROWS_AT_ONCE, 1 << ((len(rows) - start).bit_length() - 1))
            values = [value for row in rows[start : start + size] for value in row]
            self.execute_sql(insert_sql(self.param, table, columns, size), values)
            start += size

    @contextmanager
    def _file_lock(self, name: str) -> Iterator[None]:
        file = os.open(f"{self._path}.{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)  # which unlocks it
