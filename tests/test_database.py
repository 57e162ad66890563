"""Connecting, writing in transactions and in bulk."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest

from app.clock import now_ms
from app.database import (
    connect,
    execute_many,
    insert_rows,
    is_available,
    marks,
    unavailable,
    write_transaction,
)
from app.errors import DatabaseUnavailable, OperatorError
from app.models import Counter, Event, database
from app.services import Services


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    yield f"sqlite:///{tmp_path / 'hookline.db'}"
    database.close()


def row(number: int) -> tuple[Any, ...]:
    """Return the row of an event, in the order of the fields."""
    return (f"e{number}", "NODE_CREATED", "p", None, "/路径", None, None, "{}", None, number, None)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database's write lock, as another process may."""
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.rollback()


def test_connecting_makes_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "hookline.db"
    connect(f"sqlite:///{path}")
    assert path.exists()
    assert is_available()
    database.close()


def test_it_writes_ahead_and_syncs_every_commit(url: str) -> None:
    connect(url)
    read = {name: database.execute_sql(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    assert read == {"journal_mode": "wal", "synchronous": 2}  # 2 is FULL


def test_a_database_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "text.db").write_text("this is no database, however long the text may be" * 20)
    for path in (tmp_path / "file" / "hookline.db", tmp_path / "text.db", tmp_path):
        with pytest.raises(OperatorError, match="DATABASE_URL") as refused:
            connect(f"sqlite:///{path}")
        assert str(path) in str(refused.value)
        database.close()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 127, 128, 129, 255, 256, 257, 300])
def test_rows_are_inserted_whole_and_in_order(services: Services, count: int) -> None:
    rows = [row(number) for number in range(count)]
    with write_transaction():
        insert_rows(Event, rows)
    assert list(Event.select().order_by(Event.accepted_at).tuples()) == rows


def test_every_number_of_rows_from_1_to_300_is_inserted(services: Services) -> None:
    for count in range(1, 301):
        with write_transaction():
            insert_rows(Counter, [(f"{count}-{number}", number) for number in range(count)])
            ours = Counter.name.startswith(f"{count}-")
            found = Counter.select(peewee.fn.COUNT(Counter.name), peewee.fn.SUM(Counter.value)).where(ours)
            assert found.scalar(as_tuple=True) == (count, count * (count - 1) // 2)
            Counter.delete().where(ours).execute()


def test_a_transaction_that_fails_leaves_nothing(services: Services) -> None:
    with pytest.raises(peewee.IntegrityError), write_transaction():
        insert_rows(Event, [row(1), row(2), row(1)])
    assert Event.select().count() == 0
    with write_transaction():
        insert_rows(Event, [row(1)])
    assert Event.select().count() == 1


def test_statements_run_for_each_row(services: Services) -> None:
    with write_transaction():
        insert_rows(Event, [row(number) for number in range(3)])
        execute_many("UPDATE event SET type = ? WHERE id = ?", [("A", "e0"), ("B", "e2"), ("C", "nobody")])
        execute_many("DELETE FROM event WHERE id = ?", [])
    assert [event.type for event in Event.select().order_by(Event.id)] == ["A", "NODE_CREATED", "B"]


@pytest.mark.parametrize(("count", "expected"), [(1, "{0}"), (3, "{0}, {0}, {0}")])
def test_marks_are_as_many_as_asked_for(services: Services, count: int, expected: str) -> None:
    assert marks(count) == expected.format(database.param)


@pytest.mark.sqlite_only
def test_threads_write_one_after_the_other(services: Services) -> None:
    barrier = threading.Barrier(8)

    def write() -> None:
        barrier.wait(5)
        for _ in range(10):
            with write_transaction():
                value = Counter.get_by_id("webhooks").value
                Counter.update(value=value + 1).execute()
        database.close()

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Counter.get_by_id("webhooks").value == 80


@pytest.mark.sqlite_only
def test_a_database_that_others_hold_too_long_is_unavailable(services: Services) -> None:
    database.obj.timeout = 0.05
    with locked(services.settings.data_dir / "hookline.db"):
        with pytest.raises(DatabaseUnavailable), write_transaction():
            insert_rows(Event, [row(1)])
        assert Event.select().count() == 0  # reading goes on
        assert is_available()
    with write_transaction():
        insert_rows(Event, [row(1)])
    assert Event.select().count() == 1


@pytest.mark.sqlite_only
def test_a_write_waits_for_another_process_to_finish(services: Services) -> None:
    path = services.settings.data_dir / "hookline.db"
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(path):
            holding.set()
            release.wait(5)

    other = threading.Thread(target=hold)
    other.start()
    holding.wait(5)
    threading.Timer(0.05, release.set).start()
    with write_transaction():
        insert_rows(Event, [row(now_ms())])
    other.join(5)
    assert Event.select().count() == 1


@pytest.mark.parametrize("error", [peewee.OperationalError("disk is full"), peewee.InterfaceError("gone")])
def test_only_the_drivers_operational_errors_become_unavailable(error: Exception) -> None:
    with pytest.raises(DatabaseUnavailable, match=str(error)), unavailable():
        raise error
    with pytest.raises(peewee.IntegrityError), unavailable():
        raise peewee.IntegrityError("twice")
