"""Connect, write in transactions and in bulk."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import peewee
from playhouse import db_url

from app.engines import Guard, Insertion, MysqlEngine, PostgresEngine, SqliteEngine
from app.errors import DatabaseConflict, DatabaseUnavailable, OperatorError
from app.models import database

CONFLICT_ATTEMPTS = 5
# psycopg2 counts a server that only reads, such as a replica after a failover, as an internal error.
AWAY = peewee.OperationalError, peewee.InterfaceError, peewee.InternalError

Row = tuple[Any, ...]
P = ParamSpec("P")
R = TypeVar("R")


def connect(database_url: str) -> None:
    """Bind the models to the database of `database_url` and open it.

    `sqlite:///path`, `postgresql://user:password@host:port/name?sslmode=require` or `mysql://…`; what follows the
    question mark goes to the driver. Raises OperatorError where the database can't be opened, or its driver is missing.
    """
    try:
        database.initialize(_engine(database_url))
        database.connect(reuse_if_open=True)
    except peewee.ImproperlyConfigured as error:
        extra = "postgres" if isinstance(database.obj, PostgresEngine) else "mysql"
        raise OperatorError(f"DATABASE_URL: the driver is missing: pip install 'hookline[{extra}]'") from error
    except (OSError, TypeError, ValueError, peewee.PeeweeException) as error:
        cause = " ".join(str(error).split())  # libpq's texts have several lines
        raise OperatorError(f"DATABASE_URL: {_place(database_url)} can't be opened: {cause}") from error


def _engine(url: str) -> Any:
    if url.startswith("sqlite:"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteEngine(path)
    parameters = db_url.parse(url, unquote_password=True, unquote_user=True)
    if url.startswith("postgres"):
        return PostgresEngine(**parameters)
    # Bytes, because PyMySQL writes text as Latin-1.
    parameters["password"] = str(parameters.pop("passwd", parameters.pop("password", ""))).encode()
    return MysqlEngine(**parameters)


def _place(url: str) -> str:
    """Return the part of a URL that may be shown: no password."""
    if url.startswith("sqlite:"):
        return url.removeprefix("sqlite:///")
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


@contextmanager
def write_transaction() -> Iterator[None]:
    """Run the block in one transaction that is durable once the block has ended.

    Raises DatabaseUnavailable where the database can't be used, DatabaseConflict where the transaction lost against
    another; then nothing was written. Not reentrant.
    """
    with unavailable(), database.writing():
        yield


def repeat_on_conflict(function: Callable[P, R]) -> Callable[P, R]:
    """Have `function`, which is one transaction, run again where it lost against another, up to five times."""

    @wraps(function)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        for _ in range(CONFLICT_ATTEMPTS - 1):
            try:
                return function(*args, **kwargs)
            except DatabaseConflict:
                continue
        return function(*args, **kwargs)

    return repeated


def relax_durability() -> None:
    """Let this thread's commits survive a crash of the process, but perhaps not a power cut, where that is faster.

    For threads that record what can be done again: an attempt whose record is lost is made once more. Never for one
    that accepts events.
    """
    database.relax_durability()


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn the driver's operational errors (locked, full, away, read-only) into DatabaseUnavailable."""
    try:
        yield
    except AWAY as error:
        first: BaseException = error
        while first.__context__ is not None:  # a full disk also makes the rollback fail: name the cause, not that
            first = first.__context__
        kind = DatabaseConflict if database.is_conflict(error) else DatabaseUnavailable
        raise kind(" ".join(str(first).split())) from error


def insert_rows(model: type[peewee.Model], rows: Sequence[Row]) -> None:
    """Insert `rows`, whose values are in the order of the model's fields, the fastest way that the database has.

    Fields at the end that may be NULL can be left out, of all rows alike. Call it in a transaction. Raises
    peewee.IntegrityError for a key that is there already.
    """
    if rows:
        with peewee.__exception_wrapper__:
            database.insert(*_insertion(model, rows))


def write_together(
    inserts: Sequence[tuple[type[peewee.Model], Sequence[Row]]],
    *statements: tuple[str, Row],
    guard: Guard | None = None,
) -> None:
    """Insert rows and run statements (SQL in the database's style, parameters) in one transaction, durable at the end.

    It is what write_transaction and insert_rows do, in as few round trips as the database allows. Raises
    DatabaseUnavailable and DatabaseConflict as the former, peewee.IntegrityError as the latter, and Outdated where the
    number that `guard` reads is another than it says; then nothing was written.
    """
    parts = [_insertion(model, rows) for model, rows in inserts if rows]
    with unavailable(), peewee.__exception_wrapper__:
        database.write_together(parts, statements, guard)


def _insertion(model: type[peewee.Model], rows: Sequence[Row]) -> Insertion:
    fields = model._meta.sorted_fields[: len(rows[0])]
    return model._meta.table_name, tuple(field.column_name for field in fields), rows


def marks(count: int) -> str:
    """Return `count` parameter marks of the database's style, for plain SQL."""
    return ", ".join([database.param] * count)


def execute_many(sql: str, rows: Sequence[Row]) -> None:
    """Run one statement, its parameters written as `?`, for each of `rows`; call it in a transaction.

    Plain SQL, prepared once: building a query for each row would cost several times what running it does.
    """
    if rows:
        with peewee.__exception_wrapper__:
            database.execute_each(sql.replace("?", database.param), rows)


def is_available() -> bool:
    """Return whether the database answers at present."""
    try:
        database.execute_sql("SELECT 1").fetchone()
    except peewee.DatabaseError:
        return False
    return True
