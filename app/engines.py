"""What differs between SQLite, PostgreSQL and MySQL/MariaDB: how to connect, write, lock, tell the time.

Each engine is Peewee's database class with the same few additions, so that no other module asks which one it is. A
connection belongs to a thread and stays open; one that the server has closed meanwhile is replaced at its next use.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import peewee

CONNECT_TIMEOUT_S = 5
# Past this a server is taken for gone; a migration of a large table is the longest statement there is.
READ_TIMEOUT_S = 600
LOCK_WAIT_S = 10
ROWS_AT_ONCE = 512
POSTGRES_ROWS_TOGETHER = 12  # from there on the cheaper COPY makes up for its round trips
SQLITE_ROWS_AT_ONCE = 128  # past that it gets no faster
MYSQL_BYTES_AT_ONCE = 4 * 1024 * 1024  # max_allowed_packet is 16 MiB by default, on old servers 4
MIGRATION_LOCK = 0x686F6F6B  # any number that is the same in every version

# WAL lets readers go on during a commit. synchronous=FULL syncs the log at every commit: what was answered with 202
# survives a power cut. The busy time-out covers foreign programs only; our own processes queue on a lock.
SQLITE_PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "cache_size": -32_000,
    "temp_store": "memory",
    "wal_autocheckpoint": 4_000,
    "journal_size_limit": 64 * 1024 * 1024,
}
SQLITE_BUSY_TIMEOUT_S = 15

Row = Sequence[Any]
Insertion = tuple[str, tuple[str, ...], Sequence[Row]]  # table, columns, rows
Statement = tuple[str, Row]


class _Engine:
    """What all engines share. A mixin: Peewee's class comes after it."""

    def write_together(self: Any, inserts: Sequence[Insertion], statements: Sequence[Statement]) -> None:
        """Insert and run all of that in one transaction."""
        with self.writing():
            for insertion in inserts:
                self.insert(*insertion)
            for sql, parameters in statements:
                self.execute_sql(sql, parameters)


class SqliteEngine(_Engine, peewee.SqliteDatabase):  # type: ignore[misc]  # peewee carries no type information
    """SQLite, in a file."""

    is_embedded = True
    clock_ms = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"
    char_length = "LENGTH"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = threading.Lock()
        super().__init__(path, pragmas=SQLITE_PRAGMAS, timeout=SQLITE_BUSY_TIMEOUT_S)

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
            size = min(SQLITE_ROWS_AT_ONCE, 1 << ((len(rows) - start).bit_length() - 1))
            values = [value for row in rows[start : start + size] for value in row]
            self.execute_sql(insert_sql(self.param, table, columns, size), values)
            start += size

    def execute_each(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        self.cursor().executemany(sql, rows)

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the error says that this transaction was given up in favour of another."""
        return False

    @contextmanager
    def _file_lock(self, name: str) -> Iterator[None]:
        file = os.open(f"{self._path}.{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)  # which unlocks it


class _ServerEngine(_Engine):
    """What the engines with a server share."""

    is_embedded = False

    def execute_sql(self: Any, sql: str, params: Any = None) -> Any:
        """See peewee.Database. Connects again, once, where the server had closed an idle connection."""
        return self._on_live_connection(super().execute_sql, sql, params)  # type: ignore[misc]

    def begin(self: Any, *args: Any) -> Any:
        """See peewee.Database, and execute_sql."""
        return self._on_live_connection(super().begin, *args)  # type: ignore[misc]

    def _on_live_connection(self: Any, run: Any, *args: Any) -> Any:
        try:
            return run(*args)
        except (peewee.OperationalError, peewee.InterfaceError):
            # Within a transaction what it has done so far is gone with the connection: that is for the caller to know.
            if self.is_closed() or self.in_transaction() or not self._is_lost(self._state.conn):
                raise
            self.close()
            return run(*args)

    @contextmanager
    def writing(self: Any) -> Iterator[None]:
        """Run the block in a transaction that may write."""
        with self.atomic():
            yield

    def relax_durability(self) -> None:
        """Change nothing: commits are shared, so syncing them costs little."""


class PostgresEngine(_ServerEngine, peewee.PostgresqlDatabase):  # type: ignore[misc]
    """PostgreSQL, through psycopg2."""

    clock_ms = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    char_length = "LENGTH"

    def __init__(self, **parameters: Any) -> None:
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        parameters.setdefault("application_name", "hookline")
        # A server that went away without a word is noticed within a minute and a half.
        keepalive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
        # The outbox is empty one moment and holds a million rows the next, so its statistics are never right: by them
        # all of it, dead rows included, would be read for every batch. Each of our queries has an index.
        given = parameters.pop("options", "")
        super().__init__(**{**keepalive, **parameters, "options": f"-c enable_seqscan=off {given}".strip()})

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold off other processes that would migrate."""
        self.execute_sql("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        try:
            yield
        finally:
            self.execute_sql("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert `rows` with COPY, which costs a third of an INSERT on either side: no literals to quote and parse."""
        lines = ["\t".join([_copy_text(value) for value in row]) for row in rows]
        self.cursor().copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", StringIO("\n".join(lines)))

    def write_together(self, inserts: Sequence[Insertion], statements: Sequence[Statement]) -> None:
        """See _Engine. Where it is little, it goes in one round trip: the statements of one query are one transaction
        (PostgreSQL's manual, "Multiple Statements in a Simple Query")."""
        if sum(len(rows) for _, _, rows in inserts) > POSTGRES_ROWS_TOGETHER:
            super().write_together(inserts, statements)
            return
        cursor = self.cursor()
        parts = [
            cursor.mogrify(insert_sql(self.param, table, columns, len(rows)), [value for row in rows for value in row])
            for table, columns, rows in inserts
        ]
        parts += [cursor.mogrify(sql, parameters) for sql, parameters in statements]
        if parts:
            cursor.execute(b"; ".join(parts))

    def execute_each(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`, many in one round trip."""
        from psycopg2.extras import execute_batch

        execute_batch(self.cursor(), sql, rows, page_size=ROWS_AT_ONCE)

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the error says that this transaction was given up in favour of another."""
        # PostgreSQL's Appendix A: 40001 serialization_failure, 40P01 deadlock_detected.
        return getattr(getattr(error, "orig", None), "pgcode", None) in {"40001", "40P01"}

    def _is_lost(self, connection: Any) -> bool:
        return bool(connection.closed)


class MysqlEngine(_ServerEngine, peewee.MySQLDatabase):  # type: ignore[misc]
    """MySQL or MariaDB, through PyMySQL."""

    clock_ms = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
    char_length = "CHAR_LENGTH"

    def __init__(self, **parameters: Any) -> None:
        parameters = {
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": READ_TIMEOUT_S,
            "write_timeout": READ_TIMEOUT_S,
            "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
            **parameters,
        }
        # TEXT ends at 64 KiB there.
        super().__init__(**parameters, field_types={"TEXT": "LONGTEXT"})

    def _connect(self) -> Any:
        connection = super()._connect()
        with connection.cursor() as cursor:
            # Gap locks of the default level would make writers of different rows wait for each other.
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            # Where clocks are put back an hour of local time comes twice, so local time can't be made UTC.
            cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_S}, SESSION time_zone = '+00:00'")
        return connection

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold off other processes that would migrate, and see that new tables compare text byte by byte."""
        name = f"hookline.{MIGRATION_LOCK}.{self.database}"[:64]
        self.execute_sql("SELECT GET_LOCK(%s, %s)", (name, READ_TIMEOUT_S))
        try:
            version = str(self.execute_sql("SELECT VERSION()").fetchone()[0])
            # Ids differ in case and in trailing spaces: binary, and not padded.
            collation = "utf8mb4_nopad_bin" if "MariaDB" in version else "utf8mb4_0900_bin"
            self.execute_sql(f"ALTER DATABASE `{self.database}` CHARACTER SET utf8mb4 COLLATE {collation}")
            yield
        finally:
            self.execute_sql("SELECT RELEASE_LOCK(%s)", (name,))

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert `rows`, as many in one statement as its limits allow."""
        start = 0
        while start < len(rows):
            chunk = _within(rows[start : start + ROWS_AT_ONCE], MYSQL_BYTES_AT_ONCE)
            values = [value for row in chunk for value in row]
            self.execute_sql(insert_sql(self.param, table, columns, len(chunk)), values)
            start += len(chunk)

    def execute_each(self, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        self.cursor().executemany(sql, rows)

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the error says that this transaction was given up in favour of another."""
        # MySQL's error reference: 1205 ER_LOCK_WAIT_TIMEOUT, 1213 ER_LOCK_DEADLOCK.
        return bool(error.args) and error.args[0] in {1205, 1213}

    def _is_lost(self, connection: Any) -> bool:
        return not connection.open


@cache
def insert_sql(param: str, table: str, columns: tuple[str, ...], rows: int) -> str:
    """Return the INSERT of so many rows, with `param` as its parameter marks."""
    values = ", ".join([f"({', '.join([param] * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"


def _copy_text(value: str | int | None) -> str:
    """Return a value in COPY's text format (PostgreSQL's COPY, "Text Format")."""
    if value is None:
        return "\\N"
    if type(value) is not str:
        return str(value)
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\n" in value or "\r" in value or "\t" in value:
        value = value.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return value


def _within(rows: Sequence[Row], limit: int) -> Sequence[Row]:
    """Return the first of `rows`, at least one, that a statement of `limit` bytes holds at two bytes a character."""
    total = 0
    for number, row in enumerate(rows):
        total += sum([2 * len(value) for value in row if type(value) is str])
        if total > limit:
            return rows[: max(number, 1)]
    return rows
