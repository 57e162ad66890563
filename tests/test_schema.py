"""Migrating on each database: from nothing, from the release before, at once, after a crash, and not backwards."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee
import pytest
from playhouse.migrations import Runner

from app.attempts import Due
from app.clock import now_ms
from app.database import connect, insert_rows, write_transaction
from app.errors import DatabaseUnavailable, OperatorError
from app.log_counts import count_logs
from app.models import HELD, PENDING, TABLES, Counter, Delivery, Event, Lease, LogCount, User, WebhookLog, database
from app.outbox import load
from app.schema import MIGRATIONS, migrate, require_current, state
from tests.conftest import COUNTERS, SECRET_KEY, Place
from tests.empty_database import beside, empty_database
from tests.server import eventually

FIRST, SECOND, THIRD, FOURTH, FIFTH = ALL = [
    "0001_initial",
    "0002_production",
    "0003_isolation",
    "0004_dashboard",
    "0005_formats",
]
FAILURES, FAILED, ORDER = "webhook_log_failures", "webhook_log_failed_id", "delivery_order"
INSERT_DELIVERY = """
    INSERT INTO delivery (id, webhook_id, event_id, state, attempt, next_attempt_at, queued_at, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
ROOT = Path(__file__).parents[1]


@pytest.fixture
def url(database_place: Place, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables, which is open."""
    with empty_database(database_place, tmp_path) as made:
        connect(made)
        yield made


def schema(kind: str) -> dict[str, Any]:
    """Return the columns and indexes of each of our tables in the open database."""
    found: dict[str, Any] = {}
    for table in (model._meta.table_name for model in TABLES):
        indexes = {
            index.name: (index.unique, tuple(index.columns), _columns_covered(kind, index))
            for index in database.get_indexes(table)
            if not index.name.startswith("sqlite_autoindex")  # a table without rowids has none for its key
        }
        found[table] = _columns(kind, table), database.get_primary_keys(table), indexes
    return found


def _columns(kind: str, table: str) -> list[tuple[Any, ...]]:
    if kind == "sqlite":
        sql = 'SELECT name, type, "notnull" FROM pragma_table_info(?) ORDER BY name'
        return database.execute_sql(sql, (table,)).fetchall()
    schema_name = "current_schema()" if kind == "postgres" else "DATABASE()"
    collation = "NULL" if kind == "postgres" else "collation_name"
    return list(
        database.execute_sql(
            f"SELECT column_name, data_type, is_nullable, character_maximum_length, {collation} "
            f"FROM information_schema.columns WHERE table_schema = {schema_name} AND table_name = %s "
            "ORDER BY column_name",
            (table,),
        ).fetchall()
    )


def _columns_covered(kind: str, index: Any) -> str:
    """Return which rows a partial index is of, as the database says it."""
    return index.sql.partition(" WHERE ")[2] if kind != "mariadb" and index.sql else ""


def migrate_to_first() -> None:
    """Make the tables of the release before this."""
    with database.migration_lock():
        assert Runner(database.obj, str(MIGRATIONS)).up(FIRST) == [FIRST]


def history() -> list[str]:
    return [name for (name,) in database.execute_sql("SELECT name FROM schema_migration ORDER BY id").fetchall()]


def test_an_empty_database_gets_every_table(url: str) -> None:
    assert state() == (ALL, [])
    assert migrate() == ALL
    assert state() == ([], [])
    require_current()
    assert {model._meta.table_name for model in TABLES} < set(database.get_tables())
    assert {(row.name, row.value) for row in Counter.select()} == {(name, 0) for name in COUNTERS}
    assert list(Lease.select().tuples()) == [("scheduler", "", 0, 0)]


def test_migrating_twice_does_nothing_more(url: str) -> None:
    migrate()
    Counter.update(value=7).execute()
    Lease.update(epoch=3).execute()
    assert migrate() == []
    assert history() == ALL
    assert [row.value for row in Counter.select()] == [7, 7, 7]
    assert Lease.get_by_id("scheduler").epoch == 3


def test_the_migrations_make_the_tables_of_the_models(url: str, database_place: Place, tmp_path: Path) -> None:
    migrate()
    migrated = schema(database_place.kind)
    _, _, log_indexes = migrated["webhook_log"]
    _, _, delivery_indexes = migrated["delivery"]
    made_by_sql = {
        FAILURES: (log_indexes.pop(FAILURES), ("webhook_id", "status", "id")),
        ORDER: (delivery_indexes.pop(ORDER), ("order_key", "position")),
    }
    if database_place.kind != "mariadb":
        made_by_sql[FAILED] = (log_indexes.pop(FAILED), ("id",))
    for (unique, columns, rows), expected in made_by_sql.values():
        assert (bool(unique), columns) == (False, expected)
        assert bool(rows) == (database_place.kind != "mariadb")
    database.close()
    (tmp_path / "made").mkdir()
    with empty_database(database_place, tmp_path / "made") as other:
        connect(other)
        with database.migration_lock():
            database.create_tables(TABLES)
        made = schema(database_place.kind)
    assert migrated == made
    assert len(made) == len(TABLES)


def test_the_release_before_is_brought_up_to_date_with_all_it_has(url: str) -> None:
    migrate_to_first()
    at = now_ms() - 3_600_000
    log_id = f"{at:012x}{'0' * 20}"
    with write_transaction():
        insert_rows(Event, [("e", "NODE_CREATED", "p", "r", "/a", "u", None, "{}", None, at)])
        for name, due in ("d", at), ("parked", None):
            database.execute_sql(
                INSERT_DELIVERY.replace("?", database.param), (name, "w", "e", PENDING, 2, due, due, at)
            )
        log = (log_id, "w", "e", "d", 1, "http://a/", "NODE_CREATED", "{}", "FAIL", 500, "{}", "", 1, at, "x", at)
        WebhookLog.insert_many([log], fields=WebhookLog._meta.sorted_fields[: len(log)]).execute()
        insert_rows(User, [("amy", "hash", True, at)])
        Counter.update(value=5).where(Counter.name == "webhooks").execute()
    assert state() == ([SECOND, THIRD, FOURTH, FIFTH], [])
    with pytest.raises(OperatorError, match=f"lacks {SECOND}, {THIRD}, {FOURTH}, {FIFTH}: run hookline migrate"):
        require_current()
    assert migrate() == [SECOND, THIRD, FOURTH, FIFTH]
    require_current()
    assert load(["d"]).dues == [
        Due(*("d", "w", "e", 2, "NODE_CREATED", "{}", None, 0, None, None), *(at, "p", "r", "/a", "u"))
    ]
    assert {row.id: row.state for row in Delivery.select()} == {"d": PENDING, "parked": HELD}
    assert [log.id for log in WebhookLog.select()] == [log_id]
    assert (User.get_by_id("amy").admin, Counter.get_by_id("webhooks").value) == (True, 5)
    assert count_logs(now_ms()) == 1


def test_two_threads_that_migrate_at_once_apply_each_script_once(url: str) -> None:
    applied: list[list[str]] = []
    barrier = threading.Barrier(2)

    def run() -> None:
        barrier.wait(5)
        applied.append(migrate())
        database.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(applied) == [[], ALL]


def test_two_processes_that_start_at_once_apply_each_script_once(
    url: str, database_place: Place, tmp_path: Path
) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    env = {**kept, "HOOKLINE_DATA": str(tmp_path), "DATABASE_URL": url, "HOOKLINE_SECRET_KEY": SECRET_KEY}
    command = [sys.executable, "-m", "app.cli", "migrate"]
    both: list[subprocess.Popen[str]] = []
    try:
        with database.migration_lock():  # so that both come to it before either can begin
            for _ in range(2):
                pipe = subprocess.PIPE
                both.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=pipe, stderr=pipe, text=True))
            eventually(lambda: waiting(database_place.kind, url, both) == 2, 30)
        printed = sorted(process.communicate(timeout=60) for process in both)
    finally:
        for process in both:
            process.kill()
            process.communicate()
    assert printed == [(f"Applied {', '.join(ALL)}.\n", ""), ("The database is up to date.\n", "")]
    assert [process.returncode for process in both] == [0, 0]
    assert history() == ALL


def open_files(pid: int) -> set[str]:
    """Return the paths of the files that a process has open; one that it closes meanwhile is left out."""
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(os.readlink(each))
    return found


def waiting(kind: str, url: str, processes: list[Any]) -> int:
    """Return how many of `processes` have come to the lock that this test holds."""
    if kind == "sqlite":
        path = f"{url.removeprefix('sqlite:///')}.migrate.lock"
        return sum(path in open_files(each.pid) for each in processes)
    with beside(url) as run:
        if kind == "postgres":
            sql = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        else:
            sql = "SELECT COUNT(*) FROM information_schema.processlist WHERE state = 'User lock' AND db = DATABASE()"
        return int(run(sql)[0][0])


@pytest.mark.parametrize(
    "undone",
    [
        ["lease", "rejected_event", FAILURES, "logs_counted_until"],
        ["rejected_event", FAILURES],
        [FAILURES],
        [],
    ],
    ids=["after the first table", "before a table", "before the index", "before the record of it"],
)
def test_a_migration_that_broke_off_is_repeated(url: str, database_place: Place, undone: list[str]) -> None:
    migrate()
    whole = schema(database_place.kind)
    LogCount.insert(webhook_id="w", hour=0, triggered_event="A", status="FAIL", number=3).execute()
    Counter.update(value=60_000).execute()
    database.execute_sql(f"DELETE FROM schema_migration WHERE name = '{SECOND}'")
    for name in undone:
        if name == FAILURES:
            place = " ON webhook_log" if database_place.kind == "mariadb" else ""
            database.execute_sql(f"DROP INDEX {name}{place}")
        elif name == "logs_counted_until":
            Counter.delete().where(Counter.name == name).execute()
        else:
            database.execute_sql(f"DROP TABLE {name}")
    assert migrate() == [SECOND]
    assert schema(database_place.kind) == whole
    assert Counter.get_by_id("webhooks").value == 60_000
    assert Counter.get_by_id("logs_counted_until").value == (0 if "logs_counted_until" in undone else 60_000)
    assert (LogCount.get().number, Lease.get_by_id("scheduler").holder) == (3, "")


@pytest.mark.parametrize(
    "undone",
    [
        ["ALTER TABLE webhook DROP COLUMN ordering", "DROP TABLE job"],
        ["DROP INDEX webhook_backlog{on webhook}", "DROP TABLE job"],
        [
            "ALTER TABLE delivery DROP COLUMN earlier_attempts",
            "DROP INDEX delivery_order{on delivery}",
            "DROP TABLE job",
        ],
        ["DROP INDEX delivery_order{on delivery}"],
        ["CREATE INDEX delivery_webhook_id ON delivery (webhook_id)"],
    ],
    ids=[
        "in the middle of columns",
        "before an index",
        "before jobs",
        "before the last index",
        "before the old one goes",
    ],
)
def test_the_third_migration_is_repeated_where_it_broke_off(url: str, database_place: Place, undone: list[str]) -> None:
    migrate()
    whole = schema(database_place.kind)
    database.execute_sql(f"DELETE FROM schema_migration WHERE name = '{THIRD}'")
    for statement in undone:
        for table in "webhook", "delivery":
            place = f" ON {table}" if database_place.kind == "mariadb" else ""
            statement = statement.replace(f"{{on {table}}}", place)
        database.execute_sql(statement)
    assert migrate() == [THIRD]
    assert schema(database_place.kind) == whole


@pytest.mark.parametrize(
    "undone",
    [
        ["ALTER TABLE webhook_log DROP COLUMN timing", "DROP TABLE log_stat", "DROP TABLE running_process"],
        ["DROP TABLE running_process", "DELETE FROM counter WHERE name = 'logs_measured_until'"],
        ["DELETE FROM counter WHERE name = 'logs_measured_until'"],
    ],
    ids=["in the first step", "before a table", "before the counter"],
)
def test_the_fourth_migration_is_repeated_where_it_broke_off(
    url: str, database_place: Place, undone: list[str]
) -> None:
    migrate()
    whole = schema(database_place.kind)
    database.execute_sql(f"DELETE FROM schema_migration WHERE name = '{FOURTH}'")
    for statement in undone:
        database.execute_sql(statement)
    assert migrate() == [FOURTH]
    assert schema(database_place.kind) == whole
    assert Counter.get_by_id("logs_measured_until").value == 0


def test_the_fifth_migration_is_repeated_where_it_broke_off(url: str, database_place: Place) -> None:
    migrate()
    whole = schema(database_place.kind)
    database.execute_sql(f"DELETE FROM schema_migration WHERE name = '{FIFTH}'")
    for column in "event DROP COLUMN traceparent", "webhook DROP COLUMN payload_template":
        database.execute_sql(f"ALTER TABLE {column}")
    assert migrate() == [FIFTH]
    assert schema(database_place.kind) == whole


def test_a_migration_that_fails_leaves_nothing_where_that_can_be_undone(url: str, database_place: Place) -> None:
    migrate_to_first()
    database.execute_sql("CREATE TABLE lease (something_else INTEGER)")
    with pytest.raises((DatabaseUnavailable, peewee.DatabaseError), match="name"):
        migrate()
    assert history() == [FIRST]
    assert database.table_exists("log_count") == (database_place.kind == "mariadb")
    database.execute_sql("DROP TABLE lease")
    assert migrate() == [SECOND, THIRD, FOURTH, FIFTH]


def test_a_database_of_a_newer_version_is_refused(url: str) -> None:
    migrate()
    database.execute_sql("UPDATE schema_migration SET name = '9999_partitions' WHERE name = '0002_production'")
    assert state() == ([SECOND], ["9999_partitions"])
    for refuse in (migrate, require_current):
        with pytest.raises(OperatorError, match="belongs to a newer version: it has 9999_partitions"):
            refuse()
    assert history() == [FIRST, "9999_partitions", THIRD, FOURTH, FIFTH]


def test_an_empty_database_is_not_current(url: str) -> None:
    with pytest.raises(OperatorError, match=f"lacks {', '.join(ALL)}: run hookline migrate"):
        require_current()
    assert database.get_tables() == []
