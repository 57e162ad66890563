"""PostgreSQL."""

import select
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import peewee

from app.engines.base import (
    CONNECT_TIMEOUT_S,
    MIGRATION_LOCK,
    ROWS_AT_ONCE,
    Guard,
    Insertion,
    Row,
    ServerEngine,
    Statement,
    insert_sql,
)
from app.errors import Outdated

DIVISION_BY_ZERO = "22012"  # PostgreSQL's Appendix A
ROWS_TOGETHER = 12  # from there on the cheaper COPY makes up for its round trips


class PostgresEngine(ServerEngine, peewee.PostgresqlDatabase):  # type: ignore[misc]  # peewee carries no type information
    """PostgreSQL, through psycopg2."""

    clock_ms = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
    char_length = "LENGTH"

    def __init__(self, **parameters: Any) -> None:
        parameters.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        parameters.setdefault("application_name", "hookline")
        # A server that went away without a word is noticed within a minute and a half.
        keepalive = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}
        super().__init__(**{**keepalive, **parameters, "client_encoding": "utf8"})

    def _connect(self) -> Any:
        connection = super()._connect()
        with connection.cursor() as cursor:
            # The outbox is empty one moment and holds a million rows the next, so its statistics are never right: by
            # them all of it, dead rows included, would be read for every batch. Each of our queries has an index.
            # That makes the few that read a small table whole look dear, and compiling them costs 70 ms a time.
            cursor.execute("SET enable_seqscan = off; SET jit = off")
        return connection

    def product(self) -> str:
        """Return the name and version of the database."""
        return f"PostgreSQL {self.execute_sql('SHOW server_version').fetchone()[0]}"

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

    def write_together(
        self, inserts: Sequence[Insertion], statements: Sequence[Statement], guard: Guard | None
    ) -> None:
        """See Engine. Where it is little, it goes in one round trip: the statements of one query are one transaction
        (PostgreSQL's manual, "Multiple Statements in a Simple Query")."""
        if sum(len(rows) for _, _, rows in inserts) > ROWS_TOGETHER:
            super().write_together(inserts, statements, guard)
            return
        self._renew_idle()
        cursor = self.cursor()
        parts = [
            cursor.mogrify(insert_sql(self.param, table, columns, len(rows)), [value for row in rows for value in row])
            for table, columns, rows in inserts
        ]
        parts += [cursor.mogrify(sql, parameters) for sql, parameters in statements]
        if guard is not None:
            # A query can't end itself but by an error.
            parts.insert(0, f"SELECT 1 / CAST(({guard.sql}) = {guard.expected} AS integer)".encode())
        if not parts:
            return
        try:
            cursor.execute(b"; ".join(parts))
        except cursor.connection.DataError as error:
            if guard is not None and error.pgcode == DIVISION_BY_ZERO:
                raise Outdated from error
            raise

    def _renew_idle(self) -> None:
        """Connect again where the server has closed the connection while it was idle.

        It has said so, and there is something to read. To repeat what failed is no way: it may have been committed.
        """
        if self.is_closed():
            return
        poll = select.poll()
        connection = self._state.conn
        if not connection.closed:
            poll.register(connection, select.POLLIN)
        if connection.closed or poll.poll(0):
            self.execute_sql("SELECT 1")

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


def _copy_text(value: str | int | None) -> str:
    """Return a value in COPY's text format (PostgreSQL's COPY, "Text Format")."""
    if value is None:
        return "\\N"
    if not isinstance(value, str):
        return str(value)
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "\n" in value or "\r" in value or "\t" in value:
        value = value.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
    return value
