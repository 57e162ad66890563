"""The databases that a run measures, seen over a connection of the benchmark's own: asked, and filled in bulk."""

import contextlib
import io
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from .processes import BenchError

Row = Sequence[Any]
CHUNK = 50_000  # rows in a transaction of a bulk load: some 30 MB
PATIENCE_S = 30
POLL_S = 0.005  # only after the last request has arrived, so it disturbs nothing

# Both read the same text: COPY's default format is that of LOAD DATA.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Table(NamedTuple):
    """A table's name, and those of the columns that rows are given for."""

    name: str
    columns: tuple[str, ...]


def ignore(rows: int) -> None:
    """Tell nobody how many rows are loaded."""


class Database:
    """A database at a URL. In the SQL given to it, parameters are written as `?`. What fails is a BenchError."""

    mark = "%s"
    version_sql = "SELECT version()"

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return what `sql` finds."""
        with self.connection() as connection:
            return self.ask(connection, sql, *parameters)

    def ask(self, connection: Any, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return what `sql` finds, over a connection that is open."""
        cursor = connection.cursor()
        cursor.execute(sql.replace("?", self.mark), *([parameters] if parameters else []))
        return [tuple(row) for row in cursor.fetchall()]

    def execute(self, sql: str, *parameters: object) -> None:
        """Run a statement that finds nothing, in a transaction of its own."""
        with self.connection() as connection:
            connection.cursor().execute(sql.replace("?", self.mark), *([parameters] if parameters else []))

    def first_row(self, table: str) -> dict[str, Any]:
        """Return a row of `table` by column."""
        with self.connection() as connection:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table} LIMIT 1")
            names = [column[0] for column in cursor.description]
            return dict(zip(names, cursor.fetchone(), strict=True))

    def load(self, table: Table, rows: Iterable[Row], tell: Callable[[int], None] = ignore) -> None:
        """Insert `rows` by the fastest way there is; `tell` is given the number of rows that are in.

        It is not durable, and not one transaction: CHUNK rows are.
        """
        waiting, total = iter(rows), 0
        with self.connection() as connection:
            self._relax(connection)
            while chunk := list(islice(waiting, CHUNK)):
                self._load(connection, table, chunk)
                total += len(chunk)
                tell(total)

    def settle(self, tables: Iterable[str]) -> None:
        """Do what the database would by itself do in time, after a bulk load."""

    def version(self) -> str:
        """Return the server's version."""
        return str(self.rows(self.version_sql)[0][0])

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        """Give a connection on which every statement is a transaction, and close it."""
        try:
            with contextlib.closing(self._connect()) as connection:
                yield connection
        except self._errors() as error:
            raise BenchError(f"the database: {error}") from error

    def _connect(self) -> Any:
        raise NotImplementedError

    def _errors(self) -> type[Exception]:
        raise NotImplementedError

    def _relax(self, connection: Any) -> None:
        raise NotImplementedError

    def _load(self, connection: Any, table: Table, rows: Sequence[Row]) -> None:
        raise NotImplementedError


class Sqlite(Database):
    """SQLite, in the file that `sqlite:///path` names."""

    mark = "?"
    version_sql = "SELECT sqlite_version()"

    def _connect(self) -> sqlite3.Connection:
        path = self.url.removeprefix("sqlite:///")
        return sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=PATIENCE_S, isolation_level=None)

    def _errors(self) -> type[Exception]:
        return sqlite3.Error

    def _relax(self, connection: Any) -> None:
        for pragma in ("synchronous = off", "cache_size = -262144", "temp_store = memory"):
            connection.execute(f"PRAGMA {pragma}")

    def _load(self, connection: Any, table: Table, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" * len(table.columns))
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})", rows)


class Postgres(Database):
    """PostgreSQL, filled by COPY."""

    def _connect(self) -> Any:
        import psycopg2

        connection = psycopg2.connect(self.url, connect_timeout=PATIENCE_S)
        connection.autocommit = True
        return connection

    def _errors(self) -> type[Exception]:
        import psycopg2

        return psycopg2.Error

    def _relax(self, connection: Any) -> None:
        connection.cursor().execute("SET synchronous_commit = off")

    def _load(self, connection: Any, table: Table, rows: Sequence[Row]) -> None:
        connection.cursor().copy_expert(
            f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN", io.StringIO(text_of(rows))
        )

    def settle(self, tables: Iterable[str]) -> None:
        """Vacuum and analyze, as autovacuum would within a minute or so of such a change."""
        for table in tables:
            self.execute(f"VACUUM (ANALYZE) {table}")


class Mariadb(Database):
    """MariaDB or MySQL, filled by LOAD DATA LOCAL."""

    def _connect(self) -> Any:
        import pymysql

        parts = urlsplit(self.url)
        return pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            database=parts.path.lstrip("/"),
            charset="utf8mb4",
            autocommit=True,
            local_infile=True,
            connect_timeout=PATIENCE_S,
        )

    def _errors(self) -> type[Exception]:
        import pymysql

        return pymysql.Error

    def _relax(self, connection: Any) -> None:
        connection.cursor().execute("SET SESSION unique_checks = 0, foreign_key_checks = 0")

    def _load(self, connection: Any, table: Table, rows: Sequence[Row]) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="rows-", encoding="utf-8") as file:
            file.write(text_of(rows))
            file.flush()
            columns = ", ".join(table.columns)
            connection.cursor().execute(
                f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE {table.name} CHARACTER SET utf8mb4 ({columns})"
            )


KINDS = {"sqlite": Sqlite, "postgresql": Postgres, "mysql": Mariadb}


def database_at(url: str) -> Database:
    """Return the database of a URL such as the backends give."""
    return KINDS[urlsplit(url).scheme](url)


def text_of(rows: Iterable[Row]) -> str:
    """Return `rows` as lines of columns separated by tabs, NULL as `\\N`."""
    return "".join(["\t".join([_field(value) for value in row]) + "\n" for row in rows])


def _field(value: object) -> str:
    if type(value) is str:
        return value.translate(_ESCAPES) if "\\" in value or not value.isprintable() else value
    return "\\N" if value is None else str(value)


class LogTable:
    """A table of log rows, read while others write to it. Rows whose id is below `since` do not count."""

    def __init__(self, database: Database, table: str) -> None:
        self.since = ""
        self.database = database
        self._table = table

    def wait(self, rows: int, timeout_s: float) -> int:
        """Wait until `rows` rows are committed and return the time, in nanoseconds of the system's clock.

        Raises BenchError when they are not after `timeout_s` seconds, or when an attempt among them failed.
        """
        deadline, where = time.monotonic() + timeout_s, f" WHERE id >= '{self.since}'" if self.since else ""
        with self.database.connection() as connection:
            while True:
                asked = time.monotonic()
                found = self.database.ask(connection, f"SELECT count(*) FROM {self._table}{where}")[0][0]
                now = time.monotonic()
                if found >= rows:
                    break
                if now > deadline:
                    raise BenchError(f"{found} of {rows} log rows are committed after {timeout_s:.0f} s")
                time.sleep(max(POLL_S, now - asked))  # counting is no more than half of what the database does for us
            now_ns = time.time_ns()
            by_status = self.database.ask(
                connection, f"SELECT status, count(*) FROM {self._table}{where} GROUP BY status"
            )
        if dict(by_status) != {"SUCCESS": rows}:
            raise BenchError(f"{rows} attempts that succeed were expected, and these are on record: {dict(by_status)}")
        return now_ns
