"""The live tail: what is new at each look, once, however late it comes; and when it ends."""

from collections.abc import Iterator

import pytest

from app import log_tail
from app.authentication import Caller
from app.errors import NotFound
from app.ids import id_at
from app.log_tail import News, Tail, TailFilter, follow, scope_for
from app.models import ERROR, FAIL, Grant
from app.services import Services
from app.statistics import EVERYTHING, Scope
from tests.rows import ADMIN, AT, log, webhook

SECOND = 1_000
MINUTE = 60_000
MANAGER = Caller("project-manager", admin=False, scopes=frozenset(), platform=False)


def made(webhook_id: str, at: int, **columns: object) -> str:
    return log(webhook_id, "e", id_at(at), at, **columns)


def ids(news: News) -> list[str]:
    return [row.id for row in news.logs]


def test_each_log_comes_once_however_long_its_request_took(services: Services) -> None:
    hook = webhook(services)
    tail = Tail(TailFilter(), AT)
    made(hook, AT - MINUTE)
    first = made(hook, AT + 100)
    assert ids(tail.look(EVERYTHING, AT + SECOND)) == [first]
    slow, quick = made(hook, AT - 20 * SECOND, duration_ms=22 * SECOND), made(hook, AT + 1_900)
    news = tail.look(EVERYTHING, AT + 2 * SECOND)
    assert (ids(news), news.passed_over, news.at) == ([quick, slow], 0, AT + 2 * SECOND)
    assert ids(tail.look(EVERYTHING, AT + 3 * SECOND)) == []
    late = made(hook, AT - 50 * SECOND, duration_ms=10)  # recording it had to wait for the database
    assert ids(tail.look(EVERYTHING, AT + 4 * SECOND)) == [late]


def test_who_comes_back_misses_nothing_that_was_recorded_meanwhile(services: Services) -> None:
    hook = webhook(services)
    tail = Tail(TailFilter(), AT)
    at = tail.look(EVERYTHING, AT + SECOND).at
    made(hook, AT - 40 * SECOND)
    missed = [made(hook, AT - 20 * SECOND, duration_ms=25 * SECOND), made(hook, AT + 10 * MINUTE)]
    again = Tail(TailFilter(), at)
    assert ids(again.look(EVERYTHING, AT + 20 * MINUTE)) == missed[::-1]
    assert ids(again.look(EVERYTHING, AT + 20 * MINUTE + SECOND)) == []


def test_of_many_the_newest_come_and_the_rest_is_counted(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "LOOK", 8)
    monkeypatch.setattr(log_tail, "MOST", 3)
    hook = webhook(services)
    some = [made(hook, AT + number) for number in range(5)]
    tail = Tail(TailFilter(), AT)
    assert tail.look(EVERYTHING, AT + SECOND) == (_rows(some[:1:-1]), 2, False, AT + SECOND)
    many = [made(hook, AT + SECOND + number, status=FAIL if number % 2 else "SUCCESS") for number in range(20)]
    news = tail.look(EVERYTHING, AT + 2 * SECOND)
    assert (ids(news), news.passed_over, news.is_cut) == (many[:16:-1], 5, True)
    assert ids(tail.look(EVERYTHING, AT + 3 * SECOND)) == []  # nor what was too much, now that there is room
    failures = Tail(TailFilter(status="failures"), AT).look(Scope((hook,)), AT + 2 * SECOND)
    assert (ids(failures), failures.passed_over, failures.is_cut) == (many[:14:-2], 5, True)


def _rows(expected: list[str]) -> list[log_tail.WebhookLog]:
    return [log_tail.WebhookLog(id=log_id) for log_id in expected]


def test_by_status_trigger_and_webhook(services: Services) -> None:
    mine, other = webhook(services), webhook(services)
    good = made(mine, AT + 1)
    bad = made(mine, AT + 2, status=FAIL, triggered_event="NODE_MOVED")
    broken = made(other, AT + 3, status=ERROR)

    def found(scope: Scope = EVERYTHING, **wanted: str) -> list[str]:
        return ids(Tail(TailFilter(**wanted), AT).look(scope, AT + SECOND))

    assert found() == [broken, bad, good]
    assert found(status="failures") == [broken, bad]
    assert found(status="success") == [good]
    assert found(triggered_event="NODE_MOVED") == [bad]
    assert found(Scope((mine,))) == [bad, good]
    assert found(Scope((mine,)), status="failures") == [bad]
    assert found(Scope(())) == []


def test_who_sees_what(services: Services) -> None:
    mine, deleted, other = webhook(services), webhook(services, deleted_at=AT), webhook(services, "other")
    Grant.insert(user_id="project-manager", project_id="p", created_at=0).execute()
    assert scope_for(ADMIN, TailFilter()) == EVERYTHING
    assert scope_for(MANAGER, TailFilter()).ids == (mine,)
    assert scope_for(MANAGER, TailFilter(webhook_id=deleted)).ids == (deleted,)
    with pytest.raises(NotFound):
        scope_for(MANAGER, TailFilter(webhook_id=other))


class Clock:
    """Time that passes only while someone waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = AT
        self.ends_at = AT + 3_600_000
        monkeypatch.setattr(log_tail, "now_ms", lambda: self.now)

    def wait(self, seconds: float) -> bool:
        self.now += round(seconds * 1000)
        return self.now >= self.ends_at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def beats(following: Iterator[News | None], clock: Clock) -> list[int]:
    return [clock.now - AT for news in following if news is None]


def test_it_says_every_three_seconds_that_it_is_there_and_ends_after_five_minutes(
    services: Services, clock: Clock
) -> None:
    following = follow(Tail(TailFilter(), AT), lambda: EVERYTHING, clock.wait)
    assert beats(following, clock) == [beat * 3 * SECOND for beat in range(1, 101)]
    assert clock.now == AT + 5 * MINUTE


def test_it_tells_at_once_what_is_new(services: Services, clock: Clock) -> None:
    hook = webhook(services)
    following = follow(Tail(TailFilter(), AT), lambda: EVERYTHING, clock.wait)
    first = made(hook, AT)
    found = [next(following)]
    second = made(hook, AT + 1)
    found.append(next(following))
    assert [ids(news) for news in found if news] == [[first], [second]]
    assert clock.now == AT + SECOND


def test_it_ends_with_the_process(services: Services, clock: Clock) -> None:
    clock.ends_at = AT + 2 * SECOND
    assert list(follow(Tail(TailFilter(), AT), lambda: EVERYTHING, clock.wait)) == []
    assert clock.now == AT + 2 * SECOND


def test_it_ends_within_a_minute_where_nothing_may_be_seen_any_more(services: Services, clock: Clock) -> None:
    hook = webhook(services)
    Grant.insert(user_id="project-manager", project_id="p", created_at=0).execute()
    wanted = TailFilter(webhook_id=hook)
    following = follow(Tail(wanted, AT), lambda: scope_for(MANAGER, wanted), clock.wait)
    assert next(following) is None
    Grant.delete().execute()
    assert list(following) == [None] * 9
    assert clock.now <= AT + MINUTE
