"""MySQL and MariaDB."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import peewee
from peewee import fn

from app.engines.base import CONNECT_TIMEOUT_S, MIGRATION_LOCK, ROWS_AT_ONCE, Row, ServerEngine

# Past this a server is taken for gone; a migration of a large table is the longest statement there is.
READ_TIMEOUT_S = 600
LOCK_WAIT_S = 10
FOUND_ROWS = 2  # CLIENT_FOUND_ROWS of MySQL's protocol
BYTES_AT_ONCE = 4 * 1024 * 1024  # max_allowed_packet is 16 MiB by default, on old servers 4


class MysqlEngine(ServerEngine, peewee.MySQLDatabase):  # type: ignore[misc]  # peewee carries no type information
    """MySQL or MariaDB, through PyMySQL."""

    clock_ms = "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"
    char_length = "CHAR_LENGTH"
    whole_division = "DIV"
    has_partial_indexes = False

    def __init__(self, **parameters: Any) -> None:
        parameters = {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": READ_TIMEOUT_S,
            "write_timeout": READ_TIMEOUT_S,
            **parameters,
            # Not for a URL to change: in another character set or mode, a literal of ours could end early.
            "charset": "utf8mb4",
            # A row that was to be changed and is there counts as changed, as on the others.
            "client_flag": FOUND_ROWS,
            "sql_mode": "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO",
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

    def product(self) -> str:
        """Return the name and version of the database."""
        version = str(self.execute_sql("SELECT VERSION()").fetchone()[0])
        number, _, rest = version.removeprefix("5.5.5-").partition("-")
        return f"{'MariaDB' if 'MariaDB' in rest else 'MySQL'} {number}"

    @contextmanager
    def migration_lock(self) -> Iterator[None]:
        """Hold off other processes that would migrate, and see that new tables compare text byte by byte."""
        name = f"hookline.{MIGRATION_LOCK}.{self.database}"[:64]
        if self.execute_sql("SELECT GET_LOCK(%s, %s)", (name, READ_TIMEOUT_S)).fetchone()[0] != 1:
            raise peewee.OperationalError(f"another process has been migrating for {READ_TIMEOUT_S} s")
        try:
            # Ids differ in case and in trailing spaces: binary, and not padded.
            collation = "utf8mb4_nopad_bin" if self.product().startswith("MariaDB") else "utf8mb4_0900_bin"
            self.execute_sql(f"ALTER DATABASE `{self.database}` CHARACTER SET utf8mb4 COLLATE {collation}")
            yield
        finally:
            self.execute_sql("SELECT RELEASE_LOCK(%s)", (name,))

    def insert(self, table: str, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Insert `rows`, as many in one statement as its limits allow, with literals: the driver's own take longer."""
        start = 0
        while start < len(rows):
            chunk = _within(rows[start : start + ROWS_AT_ONCE], BYTES_AT_ONCE)
            values = ", ".join([f"({', '.join([_literal(value) for value in row])})" for row in chunk])
            self.cursor().execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values}")
            start += len(chunk)

    def add_on_conflict(self, insert: Any, key: Sequence[Any], number: Any) -> Any:
        """See Engine."""
        return insert.on_conflict(update={number: number + fn.VALUES(number)})

    def is_conflict(self, error: BaseException) -> bool:
        """Return whether the error says that this transaction was given up in favour of another."""
        # MySQL's error reference: 1205 ER_LOCK_WAIT_TIMEOUT, 1213 ER_LOCK_DEADLOCK.
        return bool(error.args) and error.args[0] in {1205, 1213}

    def _is_lost(self, connection: Any) -> bool:
        return not connection.open


def _literal(value: str | int | None) -> str:
    """Return a value as MySQL's SQL writes it (its manual, "String Literals"), where backslashes escape."""
    if value is None:
        return "NULL"
    if not isinstance(value, str):
        return str(value)
    if "\\" in value:
        value = value.replace("\\", "\\\\")
    if "'" in value:
        value = value.replace("'", "''")
    return f"'{value}'"


def _within(rows: Sequence[Row], limit: int) -> Sequence[Row]:
    """Return the first of `rows`, at least one, that a statement of `limit` bytes holds at two bytes a character."""
    total = 0
    for number, row in enumerate(rows):
        total += sum([2 * len(value) for value in row if type(value) is str])
        if total > limit:
            return rows[: max(number, 1)]
    return rows
