"""Connect, migrate, write in transactions and in bulk."""

import fcntl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import peewee
from playhouse.migrations import Runner

from app.errors import DatabaseUnavailable, OperatorError
from app.models import database

MIGRATIONS = Path(__file__).parent / "migrations"

# WAL lets readers go on during a commit. synchronous=FULL syncs the log at every commit: what was answered with 202
# survives a power cut. The busy time-out covers other processes only (the command line); threads queue on a lock.
SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -32_000,
    "temp_store": "memory",
    "wal_autocheckpoint": 4_000,
    "journal_size_limit": 64 * 1024 * 1024,
}
SQLITE_BUSY_TIMEOUT_S = 15

Row = tuple[Any, ...]
_ROWS = 128  # in one INSERT, at most: past that it gets no faster

# SQLite lets one connection write at a time and makes the others poll with growing sleeps. Our own threads wait here
# instead, and are woken at once.
_writer = threading.Lock()


def connect(database_url: str) -> None:
    """Bind the models to the database of `database_url` (`sqlite:///path`) and open it.

    Raises OperatorError where the database can't be opened.
    """
    path = Path(database_url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        database.initialize(peewee.SqliteDatabase(path, pragmas=SQLITE_PRAGMAS, timeout=SQLITE_BUSY_TIMEOUT_S))
        database.connect(reuse_if_open=True)
    except (OSError, peewee.DatabaseError) as error:
        raise OperatorError(f"DATABASE_URL: {path} can't be opened: {error}") from error


def migrate() -> list[str]:
    """Apply the migrations that are missing, under a lock, and return their names.

    Two processes may call it at once: the second waits, then finds nothing to do.
    """
    lock = Path(f"{database.obj.database}.migrate.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return list(Runner(database.obj, str(MIGRATIONS)).up())


@contextmanager
def write_transaction() -> Iterator[None]:
    """Run the block in one transaction that is durable once the block has ended.

    Raises DatabaseUnavailable where the database can't be used; then nothing was written. Not reentrant.
    """
    with _writer, unavailable(), database.atomic("IMMEDIATE"):
        yield


def relax_durability() -> None:
    """Let this thread's commits survive a crash of the process, but perhaps not a power cut.

    For threads that record what can be done again: an attempt whose record is lost is made once more. Never for one
    that accepts events.
    """
    database.execute_sql("PRAGMA synchronous = normal")


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the driver's operational errors (locked, full, away) into DatabaseUnavailable."""
    try:
        yield
    except (peewee.OperationalError, peewee.InterfaceError) as error:
        first: BaseException = error
        while first.__context__ is not None:  # a full disk also makes the rollback fail: name the cause, not that
            first = first.__context__
        raise DatabaseUnavailable(str(first)) from error


def insert_rows(model: type[peewee.Model], rows: Sequence[Row]) -> None:
    """Insert `rows`, whose values are in the order of the model's fields; call it in a transaction.

    Many rows go in one statement. For a server that saves round trips. For SQLite it saves giving up the GIL once a
    row, after each of which a busy thread makes us wait to get it back.
    """
    columns = [field.column_name for field in model._meta.sorted_fields]
    start = 0
    while start < len(rows):
        # A power of two: few different statements, which the driver keeps prepared.
        size = min(_ROWS, 1 << ((len(rows) - start).bit_length() - 1))
        values = [value for row in rows[start : start + size] for value in row]
        database.execute_sql(_insert_sql(model._meta.table_name, tuple(columns), size), values)
        start += size


@cache
def _insert_sql(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = ", ".join([f"({marks(len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"


def marks(count: int) -> str:
    """Return `count` parameter marks of the database's style, for plain SQL."""
    return ", ".join([database.param] * count)


def execute_many(sql: str, rows: Sequence[Row]) -> None:
    """Run one statement, its parameters written as `?`, for each of `rows`; call it in a transaction.

    Plain SQL, prepared once: building a query for each row would cost several times what running it does.
    """
    if rows:
        database.cursor().executemany(sql.replace("?", database.param), rows)


def is_available() -> bool:
    """Return whether the database answers at present."""
    try:
        database.execute_sql("SELECT 1").fetchone()
    except peewee.DatabaseError:
        return False
    return True
