"""What engines share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import peewee

from app.errors import Outdated

CONNECT_TIMEOUT_S = 5
ROWS_AT_ONCE = 512
MIGRATION_LOCK = 0x686F6F6B  # any number that is the same in every version

Row = Sequence[Any]
Insertion = tuple[str, tuple[str, ...], Sequence[Row]]  # table, columns, rows
Statement = tuple[str, Row]


class Guard(NamedTuple):
    """A query for one number, and the number that it must give."""

    sql: str
    expected: int


class Engine:
    """What all engines share. A mixin: Peewee's class comes after it."""

    whole_division = "/"  # the operator that leaves out the remainder

    has_partial_indexes = True

    def write_together(
        self: Any, inserts: Sequence[Insertion], statements: Sequence[Statement], guard: Guard | None
    ) -> None:
        """Insert and run all of that in one transaction. Raises Outdated where `guard` says so."""
        with self.writing():
            if guard is not None and self.execute_sql(guard.sql).fetchone()[0] != guard.expected:
                raise Outdated
            for insertion in inserts:
                self.insert(*insertion)
            for sql, parameters in statements:
                self.execute_sql(sql, parameters)

    def execute_each(self: Any, sql: str, rows: Sequence[Row]) -> None:
        """Run `sql` for each of `rows`."""
        self.cursor().executemany(sql, rows)

    def add_on_conflict(self, insert: Any, key: Sequence[Any], number: Any) -> Any:
        """Have `insert`, a query, add the field `number` to that of a row that has its `key` already."""
        return insert.on_conflict(conflict_target=key, update={number: number + peewee.EXCLUDED[number.name]})

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the error says that this transaction was given up in favour of another."""
        return False


class ServerEngine(Engine):
    """What the engines with a server share."""

    is_embedded = False

    def execute_sql(self: Any, sql: str, params: Any = None) -> Any:
        """See peewee.Database. Connects again, once, where the server had closed an idle connection."""
        return self._on_live_connection(super().execute_sql, sql, params)  # type: ignore[misc]  # Peewee's

    def begin(self: Any, *args: Any) -> Any:
        """See peewee.Database, and execute_sql."""
        return self._on_live_connection(super().begin, *args)  # type: ignore[misc]  # Peewee's

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


@cache
def insert_sql(param: str, table: str, columns: tuple[str, ...], rows: int) -> str:
    """Return the INSERT of so many rows, with `param` as its parameter marks."""
    values = ", ".join([f"({', '.join([param] * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}"
