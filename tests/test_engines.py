"""What differs between the databases, and what must not: texts, clocks, lost connections, conflicts, addresses."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import peewee
import pytest

from app.clock import now_ms
from app.database import (
    connect,
    execute_many,
    insert_rows,
    is_available,
    repeat_on_conflict,
    write_together,
    write_transaction,
)
from app.engines import Guard
from app.errors import DatabaseConflict, DatabaseUnavailable, OperatorError, Outdated
from app.models import Counter, Event, Grant, database
from app.registry import VERSION_SQL, raise_version
from app.services import Services
from config.settings import load_settings
from tests.conftest import COUNTERS, SECRET_KEY, Place
from tests.database_clock import database_now
from tests.empty_database import Run, beside
from tests.server import free_port

ROOT = Path(__file__).parents[1]
MEBIBYTE = 1024 * 1024
ALIKE = ["a", "A", "á", "a\u0301", "a ", " a", "a  ", "ss", "ß", "😀", "😁", "a😀", "𝒳", "x", "ａ"]
STRANGE = [
    "",
    " ",
    "\\",
    "\\N",
    "\\.",
    "a\\nb",
    "a\nb\r\nc\td",
    "\x01\x0b\x0c\x1b\x7f\x85\u2028\ufeff\uffff",
    "'\"`; DROP TABLE event; --",
    "%s %(x)s ? $1 {0} :a",
    '{"k": "\\u0000 \\\\ \\" /路径/𝒳😀"}',
]


def event(event_id: str, payload: str = "{}", at: int = 0) -> tuple[Any, ...]:
    """Return the row of an event, in the order of the fields."""
    return (event_id, "NODE_CREATED", None, None, "/a", None, None, payload, None, at, None)


def connection_id(kind: str) -> int:
    """Return the server's number of this thread's connection."""
    sql = "SELECT pg_backend_pid()" if kind == "postgres" else "SELECT CONNECTION_ID()"
    return int(database.execute_sql(sql).fetchone()[0])


def end_connection(place: Place) -> None:
    """Have the server end this thread's connection, and wait until it is gone."""
    number = connection_id(place.kind)
    if place.kind == "postgres":
        end, gone = f"SELECT pg_terminate_backend({number})", f"SELECT 1 FROM pg_stat_activity WHERE pid = {number}"
    else:
        end, gone = f"KILL CONNECTION {number}", f"SELECT 1 FROM information_schema.processlist WHERE id = {number}"
    with beside(str(place.url)) as run:
        run(end)
        deadline = time.monotonic() + 10
        while run(gone):
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.fixture
def on_server(services: Services, database_place: Place) -> Iterator[Place]:
    """The test's database where it has a server of its own; the test may connect elsewhere."""
    assert database_place.url is not None
    yield database_place
    database.close()
    connect(database_place.url)


@pytest.fixture
def other(on_server: Place) -> Iterator[Run]:
    """What another program does on the same server."""
    with beside(str(on_server.url)) as run:
        yield run


# --- texts


def test_ids_that_look_alike_are_different_keys(services: Services) -> None:
    with write_transaction():
        insert_rows(Event, [event(name, payload=repr(name)) for name in ALIKE])
    for name in ALIKE:
        assert [row.payload for row in Event.select().where(Event.id == name)] == [repr(name)]
    assert {row.id for row in Event.select().where(Event.id.in_(ALIKE[::2]))} == set(ALIKE[::2])
    with pytest.raises(peewee.IntegrityError), write_transaction():
        insert_rows(Event, [event("😀")])
    assert Event.delete().where(Event.id == "a ").execute() == 1
    assert Event.select().count() == len(ALIKE) - 1


def test_a_unique_index_tells_them_apart_too(services: Services) -> None:
    Grant.insert_many(
        [{"user_id": name, "project_id": "p", "repo_name": "", "created_at": 0} for name in ALIKE]
    ).execute()
    assert [row.user_id for row in Grant.select().where(Grant.user_id == "A")] == ["A"]
    with pytest.raises(peewee.IntegrityError):
        Grant.insert(user_id="a ", project_id="p", repo_name="", created_at=0).execute()


def test_ids_are_ordered_by_their_characters_numbers(services: Services) -> None:
    with write_transaction():
        insert_rows(Event, [event(name) for name in ALIKE])
    assert [row.id for row in Event.select().order_by(Event.id)] == sorted(ALIKE)


def test_an_id_may_have_128_characters_of_four_bytes(services: Services) -> None:
    ids = ["😀" * 128, "😀" * 127 + "😁"]
    with write_transaction():
        insert_rows(Event, [event(name) for name in ids])
    assert {row.id for row in Event.select()} == set(ids)


def test_strange_texts_come_back_as_they_were(services: Services) -> None:
    rows = [event(f"e{number}", payload=text, at=number) for number, text in enumerate(STRANGE)]
    with write_transaction():
        insert_rows(Event, rows)
        execute_many("UPDATE event SET source = ? WHERE id = ?", [(row[7], row[0]) for row in rows])
    found = Event.select(Event.payload, Event.source).order_by(Event.accepted_at)
    assert list(found.tuples()) == [(text, text) for text in STRANGE]


@pytest.mark.parametrize("character", ["a", "路", "😀", "'", "\\"])
def test_a_mebibyte_of_text_comes_back_whole(services: Services, character: str) -> None:
    text = character * (MEBIBYTE // len(character.encode())) + "|"
    with write_transaction():
        insert_rows(Event, [event("e", payload=text)])
    assert Event.get_by_id("e").payload == text


@pytest.mark.parametrize("text", ["a" * MEBIBYTE, "'" * (MEBIBYTE // 2), "😀" * (MEBIBYTE // 4)])
def test_rows_are_inserted_however_many_megabytes_they_have(services: Services, text: str) -> None:
    rows = [event(f"e{number:02}", payload=f"{number}{text}", at=number) for number in range(24)]
    with write_transaction():
        insert_rows(Event, rows)
    length = getattr(peewee.fn, database.char_length)(Event.payload).coerce(False)
    assert list(Event.select(Event.id, length).order_by(Event.id).tuples()) == [(row[0], len(row[7])) for row in rows]


@pytest.mark.parametrize("count", [1, 10, 200])
def test_what_is_written_together_is_there_together(services: Services, count: int) -> None:
    rows = [event(f"e{number}", payload=f"{number}%s ?", at=number) for number in range(count)]
    update = f"UPDATE counter SET value = {database.param} WHERE name = {database.param}"
    write_together([(Event, rows), (Grant, [])], (update, (count, "webhooks")))
    assert list(Event.select().order_by(Event.accepted_at).tuples()) == rows
    assert Counter.get_by_id("webhooks").value == count
    write_together([])


@pytest.mark.parametrize("count", [1, 10, 200])
def test_what_is_written_together_is_all_or_nothing(services: Services, count: int) -> None:
    with write_transaction():
        insert_rows(Event, [event("there")])
    update = f"UPDATE counter SET value = {database.param}"
    new = [(f"c{number}", number) for number in range(count)]
    with pytest.raises(peewee.IntegrityError):
        write_together([(Counter, new), (Event, [event("new"), event("there")])], (update, (1,)))
    assert [row.id for row in Event.select()] == ["there"]
    assert {(row.name, row.value) for row in Counter.select()} == {(name, 0) for name in COUNTERS}
    with write_transaction():
        insert_rows(Event, [event("later")])
    assert Event.select().count() == 2


# --- the clock


def test_the_databases_clock_is_the_time_in_milliseconds(services: Services) -> None:
    before = now_ms()
    theirs = database_now()
    assert before - 2 <= theirs <= now_ms() + 2


def test_the_databases_clock_goes_on_within_a_transaction(services: Services) -> None:
    with write_transaction():
        first = database_now()
        deadline = time.monotonic() + 5
        while database_now() <= first:
            assert time.monotonic() < deadline


def test_the_clock_does_not_depend_on_the_servers_time_zone(on_server: Place, other: Run) -> None:
    if on_server.kind == "postgres":
        assert abs(database_now() - now_ms()) < 1_000  # it counts seconds since the epoch, in whatever zone
        return
    # Where clocks are put back, an hour of local time comes twice, and the server takes it for the first.
    assert database.execute_sql("SELECT @@session.time_zone").fetchone() == ("+00:00",)


# --- lost connections


def test_a_connection_that_the_server_has_ended_is_replaced(on_server: Place) -> None:
    before = connection_id(on_server.kind)
    end_connection(on_server)
    assert Event.select().count() == 0
    assert connection_id(on_server.kind) != before
    end_connection(on_server)
    assert is_available()


def test_a_transaction_begins_on_a_new_connection_where_the_old_one_is_gone(on_server: Place) -> None:
    end_connection(on_server)
    with write_transaction():
        insert_rows(Event, [event("e")])
    assert [row.id for row in Event.select()] == ["e"]


@pytest.mark.parametrize("count", [1, 200])
def test_what_is_written_together_goes_over_a_new_connection_too(on_server: Place, count: int) -> None:
    end_connection(on_server)
    write_together([(Event, [event(f"e{number}") for number in range(count)])])
    assert Event.select().count() == count


@pytest.mark.parametrize("step", ["read", "insert", "execute_many", "commit"])
def test_a_connection_lost_within_a_transaction_is_reported_and_nothing_written(on_server: Place, step: str) -> None:
    def write() -> None:
        with write_transaction():
            insert_rows(Event, [event("before")])
            end_connection(on_server)
            if step == "read":
                Event.select().count()
            elif step == "insert":
                insert_rows(Event, [event("after")])
            elif step == "execute_many":
                execute_many("UPDATE event SET type = ? WHERE id = ?", [("A", "before")])

    with pytest.raises(DatabaseUnavailable):
        write()
    with write_transaction():
        insert_rows(Event, [event("later")])
    assert [row.id for row in Event.select()] == ["later"]


def test_each_session_has_what_we_ask_for(on_server: Place) -> None:
    if on_server.kind == "postgres":
        assert database.execute_sql("SHOW application_name").fetchone() == ("hookline",)
        return
    sql = "SELECT @@session.tx_isolation, @@session.innodb_lock_wait_timeout, @@session.sql_mode"
    isolation, wait, mode = database.execute_sql(sql).fetchone()
    assert (isolation, wait) == ("READ-COMMITTED", 10)
    assert "STRICT_TRANS_TABLES" in mode


# --- conflicts


def meet_in_deadlock(kind: str, update: Any) -> list[BaseException]:
    """Have two threads call `update` with two names in opposite orders and what to do between; return what it raised.

    In their first runs they wait for each other between the two, so that each holds what the other wants.
    """
    errors: list[BaseException] = []
    barrier = threading.Barrier(2)

    def run(names: list[str]) -> None:
        waits = [barrier.wait]

        def between() -> None:
            if kind == "postgres":
                database.execute_sql("SET LOCAL deadlock_timeout = '20ms'")
            if waits:
                waits.pop()(10)

        try:
            update(names, between)
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(names,)) for names in (["a", "b"], ["b", "a"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return errors


def raise_both(names: list[str], between: Any) -> None:
    with write_transaction():
        Counter.update(value=Counter.value + 1).where(Counter.name == names[0]).execute()
        between()
        Counter.update(value=Counter.value + 1).where(Counter.name == names[1]).execute()


@pytest.fixture
def counters(on_server: Place) -> None:
    Counter.insert_many([{"name": "a", "value": 0}, {"name": "b", "value": 0}]).execute()


def values() -> list[int]:
    return [row.value for row in Counter.select().where(Counter.name.in_(["a", "b"]))]


def test_of_two_transactions_in_deadlock_one_is_told_of_a_conflict(on_server: Place, counters: None) -> None:
    errors = meet_in_deadlock(on_server.kind, raise_both)
    assert [type(error) for error in errors] == [DatabaseConflict]
    assert values() == [1, 1]


def test_a_transaction_that_lost_is_repeated_and_both_succeed(on_server: Place, counters: None) -> None:
    errors = meet_in_deadlock(on_server.kind, repeat_on_conflict(raise_both))
    assert errors == []
    assert values() == [2, 2]


def test_a_conflict_is_repeated_five_times_at_most() -> None:
    calls: list[int] = []

    @repeat_on_conflict
    def always(number: int) -> None:
        calls.append(number)
        raise DatabaseConflict("lost")

    with pytest.raises(DatabaseConflict):
        always(1)
    assert calls == [1] * 5


def test_other_failures_are_not_repeated() -> None:
    calls: list[int] = []

    @repeat_on_conflict
    def once() -> None:
        calls.append(1)
        raise DatabaseUnavailable("away")

    with pytest.raises(DatabaseUnavailable):
        once()
    assert calls == [1]


# --- SQLite's one file

WRITER = """
import sys
from app.database import connect, write_transaction
from app.models import Counter
connect(sys.argv[1])
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    with write_transaction():
        value = Counter.get_by_id("webhooks").value
        Counter.update(value=value + 1).execute()
"""


@pytest.mark.sqlite_only
def test_processes_that_write_one_file_wait_for_each_other(services: Services) -> None:
    command = [sys.executable, "-c", WRITER, services.settings.database_url, "100"]
    pipe = subprocess.PIPE
    both = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stderr=pipe, text=True) for _ in range(2)]
    try:
        for process in both:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        errors = [process.communicate(timeout=60)[1] for process in both]
    finally:
        for process in both:
            process.kill()
    assert (errors, [process.returncode for process in both]) == (["", ""], [0, 0])
    assert Counter.get_by_id("webhooks").value == 200


@pytest.mark.sqlite_only
def test_a_thread_may_let_its_commits_wait_for_no_disk(services: Services) -> None:
    database.relax_durability()
    assert database.execute_sql("PRAGMA synchronous").fetchone() == (1,)  # 1 is NORMAL
    found: list[Any] = []

    def look() -> None:
        found.append(database.execute_sql("PRAGMA synchronous").fetchone()[0])
        database.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(10)
    assert found == [2]  # another thread's connection still syncs


# --- addresses

PASSWORD = "p@ss:w/rd?#%&+ é😀"


@pytest.fixture
def stranger(on_server: Place, other: Run) -> Iterator[str]:
    """The URL of a user of the server with a difficult name and password."""
    name = "o'hara@x"
    if on_server.kind == "postgres":
        other(f"""CREATE ROLE "{name}" LOGIN PASSWORD '{PASSWORD}'""")
    else:
        quoted = name.replace("'", "''")
        other(f"CREATE USER '{quoted}'@'%' IDENTIFIED BY '{PASSWORD}'")
    scheme, _, rest = str(on_server.url).partition("://")
    host = rest.rpartition("@")[2].partition("/")[0]
    open_to_all = "postgres" if on_server.kind == "postgres" else "information_schema"
    yield f"{scheme}://{quote(name, safe='')}:{quote(PASSWORD, safe='')}@{host}/{open_to_all}"
    database.close()
    other(f'DROP ROLE "{name}"' if on_server.kind == "postgres" else f"DROP USER '{quoted}'@'%'")


def user_of(kind: str) -> str:
    return str(database.execute_sql("SELECT current_user" if kind == "postgres" else "SELECT USER()").fetchone()[0])


def test_names_and_passwords_are_percent_encoded(on_server: Place, stranger: str) -> None:
    url = load_settings({"DATABASE_URL": stranger, "HOOKLINE_SECRET_KEY": SECRET_KEY}).database_url
    connect(url)
    assert user_of(on_server.kind).startswith("o'hara@x")
    assert is_available()


def test_what_follows_the_question_mark_goes_to_the_driver(on_server: Place) -> None:
    if on_server.kind == "postgres":
        connect(f"{on_server.url}?sslmode=prefer&application_name=other&connect_timeout=3&options=-c%20work_mem%3D5MB")
        assert database.execute_sql("SHOW application_name").fetchone() == ("other",)
        assert database.execute_sql("SHOW work_mem").fetchone() == ("5MB",)
    else:
        connect(f"{on_server.url}?connect_timeout=3&program_name=other&init_command=SET%20%40x%3D7")
        assert database.execute_sql("SELECT @x").fetchone() == (7,)


def test_mariadb_may_be_called_by_its_name(on_server: Place) -> None:
    named = str(on_server.url).replace("mysql://", "mariadb://").replace("postgresql://", "postgres://")
    url = load_settings({"DATABASE_URL": named, "HOOKLINE_SECRET_KEY": SECRET_KEY}).database_url
    connect(url)
    assert is_available()


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("options", ["", "?nonsense=1", "?connect_timeout=soon"])
def test_a_server_that_is_not_there_is_one_line_without_the_password(scheme: str, options: str) -> None:
    place = f"127.0.0.1:{free_port()}/hookline"
    refused = refusal(f"{scheme}://amy:s3cret-word@{place}{options}")
    assert refused.startswith(f"DATABASE_URL: {scheme}://{place} can't be opened: ")
    assert "s3cret-word" not in refused


def refusal(url: str) -> str:
    with pytest.raises(OperatorError) as refused:
        connect(url)
    text = str(refused.value)
    assert "\n" not in text
    return text


def test_a_wrong_password_or_database_is_told_without_the_password(on_server: Place) -> None:
    scheme, _, rest = str(on_server.url).partition("://")
    place = rest.rpartition("@")[2]
    for url in (
        f"{scheme}://hookline:s3cret-word@{place}",
        f"{scheme}://nobody:s3cret-word@{place}",
        f"{on_server.url}_that_is_not_there",
    ):
        text = refusal(url)
        assert text.startswith(f"DATABASE_URL: {scheme}://{place}")
        assert "s3cret-word" not in text
        assert ":hookline@" not in text


@pytest.mark.parametrize(
    ("scheme", "driver", "extra"), [("postgresql", "psycopg2", "postgres"), ("mysql", "mysql", "mysql")]
)
def test_a_driver_that_is_missing_is_named(
    monkeypatch: pytest.MonkeyPatch, scheme: str, driver: str, extra: str
) -> None:
    monkeypatch.setattr(peewee, driver, None)
    assert refusal(f"{scheme}://a:b@127.0.0.1/x") == (
        f"DATABASE_URL: the driver is missing: pip install 'hookline[{extra}]'"
    )


# --- a guard


def test_what_is_guarded_is_written_while_the_guard_holds(services: Services) -> None:
    with write_transaction():
        expected = raise_version()
    for count in (1, 100):
        rows = [event(f"{count}-{number}") for number in range(count)]
        write_together([(Event, rows)], guard=Guard(VERSION_SQL, expected))
    assert Event.select().count() == 101


@pytest.mark.parametrize("count", [0, 1, 100])
def test_what_is_guarded_is_not_written_where_the_guard_is_past(services: Services, count: int) -> None:
    with write_transaction():
        past = raise_version()
    with write_transaction():
        raise_version()
    rows = [event(f"e{number}") for number in range(count)]
    with pytest.raises(Outdated):
        write_together([(Event, rows)], guard=Guard(VERSION_SQL, past))
    assert Event.select().count() == 0
    write_together([(Event, rows)])
    assert Event.select().count() == count


@pytest.mark.parametrize("setting", ["sql_mode=NO_BACKSLASH_ESCAPES", "charset=gbk"])
def test_a_url_can_not_change_how_texts_are_quoted(on_server: Place, setting: str) -> None:
    if on_server.kind == "postgres":
        setting = "client_encoding=sql_ascii"
    connect(f"{on_server.url}?{setting}")
    text = "\\' \\\\'' 縗' OR 1=1 -- \\"
    with write_transaction():
        insert_rows(Event, [event("e", payload=text)])
    assert [row.payload for row in Event.select()] == [text]
