"""Finding logs by any filter, as any caller, against filtering by hand; and how far one step looks."""

import random
from typing import Any

import pytest

from app import log_search
from app.authentication import Caller
from app.database import insert_rows, write_transaction
from app.errors import NotFound
from app.ids import id_at, time_of
from app.log_counts import count_logs
from app.log_search import LogPage, find_log, search_logs
from app.log_steps import HOUR_MS
from app.log_streams import AFTER_ALL, FAILURES, STATUSES, LogSearch
from app.models import ERROR, FAIL, SUCCESS, Event, Grant, WebhookLog, database
from app.services import Services
from app.webhooks import delete_webhook
from tests.rows import ADMIN, AT, event, log, webhook, write_events
from tests.test_log_counts import BEGIN, END

TRIGGERS = ("NODE_CREATED", "NODE_DELETED")
BODIES = (None, "", "a needle here", "NEEDLE", "hay")

Row = dict[str, Any]


def user(name: str) -> Caller:
    return Caller(name, admin=False, scopes=frozenset(), platform=False)


def grant(name: str, project: str, repo: str = "") -> Caller:
    Grant.insert(user_id=name, project_id=project, repo_name=repo, created_at=0).execute()
    return user(name)


def store(rows: list[Row]) -> None:
    fixed: Row = {
        **{"attempt": 1, "url": "http://a/", "request_headers": "{}", "response_status": 200, "response_headers": "{}"},
        **{"duration_ms": 1, "error": None, "next_attempt_at": None, "timing": None, "request_payload": None},
    }
    names = [field.name for field in WebhookLog._meta.sorted_fields]
    with write_transaction():
        insert_rows(WebhookLog, [tuple((fixed | row)[name] for name in names) for row in rows])


def random_logs(chance: random.Random, webhooks: list[str], number: int) -> list[Row]:
    write_events([(f"e{place}", BEGIN) for place in range(20)])
    write_events([(f"e{place}", BEGIN) for place in range(20, 30)], payload='{"a":"Needle"}')
    rows = []
    for _ in range(number):
        at = chance.randrange(BEGIN, END) // 1_000 * 1_000
        place = chance.randrange(31)  # the last of them has been pruned
        rows.append(
            {
                "id": id_at(at),
                "webhook_id": chance.choice(webhooks),
                "event_id": f"e{place}",
                "delivery_id": f"d{place}",
                "triggered_event": chance.choice(TRIGGERS),
                "status": chance.choices((SUCCESS, FAIL, ERROR), (10, 3, 1))[0],
                "response_body": chance.choice(BODIES),
                "requested_at": at,
            }
        )
    return rows


def fits(row: Row, wanted: LogSearch) -> bool:
    has_text = "needle" in (row["response_body"] or "").lower() or row["event_id"] in {f"e{n}" for n in range(20, 30)}
    return (
        wanted.webhook_id in (None, row["webhook_id"])
        and (wanted.start or 0) <= row["requested_at"] <= (wanted.end or END)
        and (wanted.status in (None, row["status"]) or (wanted.status == FAILURES and row["status"] != SUCCESS))
        and wanted.triggered_event in (None, row["triggered_event"])
        and wanted.event_id in (None, row["event_id"])
        and wanted.delivery_id in (None, row["delivery_id"])
        and (wanted.text is None or has_text)
    )


def all_pages(caller: Caller, wanted: LogSearch, size: int) -> list[str]:
    """Return the ids on all pages; each page must be further back than the one before."""
    found: list[str] = []
    before = AFTER_ALL
    while True:
        page = search_logs(caller, wanted, before, size)
        assert len(page.lines) == size or page.following is None or page.reached is not None
        found += [line.id for line in page.lines]
        if page.following is None:
            return found
        assert page.following < before
        before = page.following


def random_search(chance: random.Random, webhooks: list[str]) -> LogSearch:
    start, end = sorted(chance.randrange(BEGIN - HOUR_MS, END + HOUR_MS) for _ in range(2))
    event_id = f"e{chance.randrange(32)}" if chance.random() < 0.2 else None
    return LogSearch(
        webhook_id=chance.choice([None, *webhooks]),
        start=chance.choice((None, start)),
        end=chance.choice((None, end)),
        status=chance.choice((None, *STATUSES)),
        triggered_event=chance.choice((None, None, *TRIGGERS)),
        event_id=event_id,
        delivery_id=f"d{chance.randrange(31)}" if event_id and chance.random() < 0.5 else None,
        text="NeedlE" if chance.random() < 0.2 else None,
    )


def test_all_pages_together_are_the_logs_that_fit_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = [webhook(services, place) for place in ("p:r", "p", "p:s")]
    deleted, others = webhook(services, "p:r"), [webhook(services, place) for place in ("q:r", "")]
    delete_webhook(ADMIN, deleted, AT)
    mine.append(deleted)
    manager, chance = grant("manager", "p"), random.Random(11)
    rows = random_logs(chance, [*mine, *others], 300)
    store(rows)
    count_logs(END - HOUR_MS)
    for name in ("SCAN", "SCAN_BY_INDEX", "SCAN_TEXTS"):
        monkeypatch.setattr(log_search, name, 25)
    for _ in range(60):
        caller, seen = chance.choice([(ADMIN, [*mine, *others]), (manager, mine)])
        wanted = random_search(chance, seen)
        expected = [row["id"] for row in rows if row["webhook_id"] in seen and fits(row, wanted)]
        assert all_pages(caller, wanted, chance.choice((3, 50, 400))) == sorted(expected, reverse=True)


def test_a_line_has_what_lists_show(services: Services) -> None:
    mine = webhook(services)
    log_id = log(mine, event("e"), "d", AT, status=FAIL, response_status=503, error="busy", next_attempt_at=AT + 9)
    [line] = search_logs(ADMIN, LogSearch(webhook_id=mine)).lines
    assert line._asdict() == {
        **{"id": log_id, "webhook_id": mine, "event_id": "e", "delivery_id": "d", "attempt": 1},
        **{"url": "http://receiver.example/hook", "triggered_event": "NODE_CREATED", "status": FAIL},
        **{"response_status": 503, "duration_ms": 1, "requested_at": AT, "error": "busy", "next_attempt_at": AT + 9},
    }


def test_a_delivery_is_found_by_its_id_alone(services: Services) -> None:
    mine = webhook(services)
    delivery_id = id_at(AT + 2)
    event("e", AT)
    logs = [log(mine, "e", delivery_id, AT + at) for at in (10, 20)]
    log(mine, "e", id_at(AT + 3), AT + 15)
    wanted = LogSearch(delivery_id=delivery_id)
    assert [line.id for line in search_logs(ADMIN, wanted).lines] == logs[::-1]
    assert search_logs(user("nobody"), wanted) == LogPage([])
    for unknown in (id_at(AT), "no id", ""):
        assert search_logs(ADMIN, LogSearch(delivery_id=unknown)) == LogPage([])


def test_someone_elses_logs_are_not_there(services: Services) -> None:
    theirs, caller = webhook(services, "p:r"), grant("outsider", "q")
    log_id = log(theirs, event("e"), "d")
    assert search_logs(caller, LogSearch()).lines == []
    assert search_logs(caller, LogSearch(event_id="e")).lines == []
    for unknown in (theirs, "0" * 32, "x"):
        with pytest.raises(NotFound):
            search_logs(caller, LogSearch(webhook_id=unknown))
    for missing in (log_id, id_at(AT), "'", ""):
        with pytest.raises(NotFound):
            find_log(caller, missing)


def test_a_log_comes_with_its_webhook_even_a_deleted_one(services: Services) -> None:
    mine, caller = webhook(services, "p:r"), grant("manager", "p", "r")
    log_id = log(mine, event("e", payload='{"a":1}'), "d")
    delete_webhook(ADMIN, mine, AT)
    entry, found = find_log(caller, log_id)
    assert (entry.log.id, entry.payload, found.id, found.deleted_at) == (log_id, '{"a":1}', mine, AT)


@pytest.fixture
def sparse(services: Services, monkeypatch: pytest.MonkeyPatch) -> str:
    """A webhook with a log a minute over six hours, of which one in the second hour is of another trigger."""
    mine = webhook(services)
    rows = random_logs(random.Random(1), [mine], 360)
    for minute, row in enumerate(rows):
        at = BEGIN + minute * 60_000
        trigger = TRIGGERS[1] if minute == 90 else TRIGGERS[0]
        row |= {"id": id_at(at), "requested_at": at, "triggered_event": trigger, "status": SUCCESS}
    store(rows)
    monkeypatch.setattr(log_search, "SCAN_BY_INDEX", 10)
    return mine


def test_a_step_says_how_far_back_it_has_looked(sparse: str) -> None:
    page = search_logs(ADMIN, LogSearch(webhook_id=sparse, triggered_event=TRIGGERS[1]))
    assert page.lines == []
    assert page.reached == BEGIN + 350 * 60_000
    assert page.following is not None
    assert time_of(page.following) == page.reached


def test_hours_that_are_known_to_have_none_are_passed_over(sparse: str) -> None:
    count_logs(END + HOUR_MS)
    wanted = LogSearch(webhook_id=sparse, triggered_event=TRIGGERS[1])
    page = search_logs(ADMIN, wanted)
    assert page.reached == BEGIN + 350 * 60_000
    assert page.following is not None
    assert time_of(page.following) == BEGIN + 2 * HOUR_MS
    found = all_pages(ADMIN, wanted, 50)
    assert [time_of(log_id) for log_id in found] == [BEGIN + 90 * 60_000]
    nowhere = search_logs(ADMIN, LogSearch(webhook_id=sparse, triggered_event="NODE_MOVED"))
    assert (nowhere.following, nowhere.reached) == (None, None)
    early = LogSearch(webhook_id=sparse, triggered_event=TRIGGERS[1], start=BEGIN + 3 * HOUR_MS)
    assert search_logs(ADMIN, early).following is None


def test_a_user_without_webhooks_or_logs_has_an_empty_page(services: Services) -> None:
    webhook(services, "p:r")
    for caller in (user("nobody"), grant("manager", "p")):
        for status in (None, FAILURES, SUCCESS):
            assert search_logs(caller, LogSearch(status=status)) == LogPage([])


@pytest.mark.sqlite_only
def test_lists_are_read_along_their_indexes(services: Services) -> None:
    mine = webhook(services)
    store([row | {"webhook_id": mine} for row in random_logs(random.Random(3), [mine], 200)])
    seen: list[Any] = []
    engine: Any = database.obj
    engine.query_hooks.append(seen.append)
    try:
        for wanted in (LogSearch(), LogSearch(status=FAILURES), LogSearch(webhook_id=mine)):
            search_logs(ADMIN, wanted)
        search_logs(ADMIN, LogSearch(webhook_id=mine, status=FAILURES))
    finally:
        engine.query_hooks.clear()
    lists = [query for query in seen if "webhook_log" in query.sql and "LIMIT" in query.sql]
    plans = [
        " ".join(row[3] for row in engine.execute_sql(f"EXPLAIN QUERY PLAN {query.sql}", query.params))
        for query in lists
    ]
    assert not any("TEMP B-TREE" in plan for plan in plans)
    assert "webhook_log_failed_id" in plans[1]
    assert "webhook_log_webhook_id_id" in plans[2]
    assert all("webhook_log_failures" in plan for plan in plans[3:])
    logs = [query.sql for query in seen if "webhook_log" in query.sql]
    assert not any("payload" in sql or "response_body" in sql for sql in logs)


def test_events_that_were_pruned_leave_logs_that_are_found(services: Services) -> None:
    mine = webhook(services)
    log_id = log(mine, event("e"), "d", response_body="the needle")
    Event.delete().execute()
    assert [line.id for line in search_logs(ADMIN, LogSearch(text="needle")).lines] == [log_id]
    assert [line.id for line in search_logs(ADMIN, LogSearch(event_id="e")).lines] == [log_id]
