"""What the overview shows: statistics of a range against adding up by hand, what is owed, which webhooks fail."""

from collections import Counter

import pytest

from app import outstanding as piles
from app import statistics as stats
from app.authentication import Caller
from app.durations import bucket_of
from app.errors import BadRequest
from app.failing import failing_webhooks
from app.ids import id_at, time_of
from app.log_stats import DAY_MS, measure_logs, measured_until
from app.log_steps import HOUR_MS, MINUTE_MS
from app.models import DEAD, ERROR, FAIL, HELD, PENDING, SUCCESS, WAITING, Grant
from app.outstanding import Pile, outstanding
from app.services import Services
from app.statistics import EVERYTHING, Scope, scope_of, statistics
from app.timeline import RANGES, Comparison, Range, Summary, frame_at, range_of, relative_change, summary_of
from tests import rows
from tests.test_log_stats import Log, random_logs, store

NOW = 1_700_000_000_000 // DAY_MS * DAY_MS + 40 * DAY_MS + 8_765_432


def summarise(logs: list[Log]) -> Summary:
    return summary_of(Counter((status, bucket_of(duration)) for _, _, status, duration in logs))


# --- ranges and summaries: pure


def test_a_range_is_shown_in_whole_steps_and_the_one_under_way() -> None:
    for chosen in RANGES.values():
        frame = frame_at(NOW, chosen)
        assert frame.start <= NOW - chosen.length_ms
        assert len(frame.starts) == chosen.length_ms // chosen.step_ms + 1
        assert frame.starts[-1] <= NOW < frame.starts[-1] + chosen.step_ms
        assert chosen.step_ms % chosen.span_ms == 0
        assert [frame.step_of(at) for at in (0, NOW, NOW + DAY_MS)] == [
            frame.start,
            frame.starts[-1],
            frame.starts[-1],
        ]


def test_a_range_is_asked_for_by_its_name() -> None:
    assert [range_of(given).name for given in ({}, {"range": ""}, {"range": "7d"})] == ["24h", "24h", "7d"]
    with pytest.raises(BadRequest, match="range"):
        range_of({"range": "2h"})


def test_what_was_never_sent_has_no_duration_and_is_no_success() -> None:
    found = summary_of(Counter({(SUCCESS, bucket_of(10)): 90, (FAIL, bucket_of(1_000)): 9, (ERROR, 0): 1}))
    assert (found.total, found.success_rate) == (100, 0.9)
    assert found.p50 == pytest.approx(8 + 2 * 49.5 / 90)
    assert found.p99 is not None
    assert 800 < found.p99 <= 1_000
    assert (Summary(0, 0, 0, None, None, None).success_rate, summary_of(Counter()).p50) == (None, None)


def test_a_change_is_a_part_of_what_was_before() -> None:
    found = [relative_change(*pair) for pair in ((3, 2), (1, 2), (0, 2), (2, 0), (None, 1.0), (1.0, None))]
    assert found == [0.5, -0.5, -1, None, None, None]


# --- statistics of a range


@pytest.mark.parametrize(
    "chosen",
    # They differ by their steps alone; those of seven days are put together from several rows.
    [pytest.param(each, marks=[] if name == "7d" else pytest.mark.sqlite_only) for name, each in RANGES.items()],
    ids=RANGES,
)
def test_the_steps_and_their_sum_and_the_time_before_equal_adding_up_by_hand(services: Services, chosen: Range) -> None:
    frame = frame_at(NOW, chosen)
    early = frame.start - chosen.length_ms
    logs = random_logs(300, early - chosen.step_ms, NOW) + random_logs(30, NOW - 3 * MINUTE_MS, NOW, seed=2)
    store(logs)
    measure_logs(NOW - HOUR_MS // 30)
    assert NOW - 6 * MINUTE_MS < measured_until() < NOW - 3 * MINUTE_MS
    for scope, mine in ((EVERYTHING, "vw"), (Scope(("w",)), "w"), (Scope(("v", "w")), "vw"), (Scope(()), "")):
        wanted = [log for log in logs if log[1] in mine]
        found = statistics(scope, chosen, NOW)
        assert (found.until, [point.at for point in found.points]) == (NOW, list(frame.starts))
        for point, end in zip(found.points, [*frame.starts[1:], NOW + 1], strict=True):
            assert point.summary == summarise([log for log in wanted if point.at <= log[0] < end])
        assert found.total == summarise([log for log in wanted if frame.start <= log[0]])
        whole = [log for log in wanted if frame.start <= log[0] < frame.starts[-1]]
        before = [log for log in wanted if early <= log[0] < early + chosen.length_ms]
        assert found.comparison == Comparison(summarise(whole), summarise(before))


@pytest.mark.sqlite_only
def test_a_range_is_not_held_against_a_time_that_is_not_on_record(services: Services) -> None:
    store(random_logs(50, NOW - 2 * HOUR_MS + 5 * MINUTE_MS, NOW))
    measure_logs(NOW)
    assert statistics(EVERYTHING, RANGES["1h"], NOW).comparison is None
    assert statistics(Scope(("w",)), RANGES["1h"], NOW).comparison is None


@pytest.mark.sqlite_only
def test_where_too_many_logs_are_not_settled_the_series_ends_before_them(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = random_logs(60, NOW - HOUR_MS, NOW - 10 * MINUTE_MS) + random_logs(40, NOW - 2 * MINUTE_MS, NOW, seed=2)
    store(logs)
    measure_logs(NOW)
    chosen, until = RANGES["1h"], measured_until()
    monkeypatch.setattr(stats, "SCAN", 30)
    found = statistics(EVERYTHING, chosen, NOW)
    assert (found.until, found.points[-1].at) == (until, until)
    assert found.total == summarise([log for log in logs if log[0] < until])
    few = statistics(Scope(("v",)), chosen, NOW)
    assert (few.until, few.total) == (NOW, summarise([log for log in logs if log[1] == "v"]))


@pytest.mark.sqlite_only
def test_nothing_is_shown_where_nothing_is_added_up_yet_and_there_is_too_much_to_look_at(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(random_logs(20, NOW - HOUR_MS, NOW))
    assert statistics(EVERYTHING, RANGES["1h"], NOW).total.total == 20
    monkeypatch.setattr(stats, "SCAN", 10)
    found = statistics(EVERYTHING, RANGES["1h"], NOW)
    assert (found.until, found.points, found.total.total, found.comparison) == (0, [], 0, None)


# --- who sees what


def test_who_is_no_administrator_has_the_statistics_of_the_webhooks_that_he_may_manage(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    everywhere, project, repo, other = (rows.webhook(services, place) for place in ("", "p", "p:r", "p:s"))
    deleted = rows.webhook(services, "p:r", deleted_at=NOW)
    for user_id, project_id, repo_name in (("owner", "p", ""), ("keeper", "p", "r")):
        Grant.create(user_id=user_id, project_id=project_id, repo_name=repo_name, created_at=0)
    owner, keeper, nobody = (
        Caller(name, admin=False, scopes=frozenset(), platform=False) for name in ("owner", "keeper", "nobody")
    )
    assert scope_of(rows.ADMIN) == EVERYTHING
    assert {*(scope_of(owner).ids or ())} == {project, repo, other}
    assert scope_of(keeper) == Scope((repo,))
    assert scope_of(nobody) == Scope(())
    assert not {everywhere, deleted} & {*(scope_of(owner).ids or ())}
    monkeypatch.setattr(stats, "MOST_WEBHOOKS", 2)
    assert (len(scope_of(owner).ids or ()), scope_of(owner).is_cut) == (2, True)


# --- what is owed


def owe(webhook_id: str, state: str, at: int, **columns: int | None) -> int:
    """Owe a delivery, and return when its id says that it was made."""
    made = rows.delivery(webhook_id, rows.event(id_at(at), at), at, id=id_at(at), state=state, **columns)
    return time_of(made)


def test_what_is_owed_is_counted_by_state_with_the_time_of_the_oldest(services: Services) -> None:
    queued = owe("v", PENDING, NOW - 5_000, queued_at=NOW)
    later = owe("w", PENDING, NOW - 9_000, next_attempt_at=NOW + HOUR_MS)
    held = [owe("w", HELD, NOW - back) for back in (7_000, 8_000)]
    waiting, dead = owe("v", WAITING, NOW - 1_000), owe("w", DEAD, NOW - DAY_MS)
    found = outstanding(EVERYTHING)
    assert found == (Pile(2, later), Pile(2, held[1]), Pile(1, waiting), Pile(1, dead))
    assert found.owed == Pile(5, later)
    assert outstanding(Scope(("v",))) == (Pile(1, queued), Pile(), Pile(1, waiting), Pile())
    assert outstanding(Scope(())).owed == Pile()


def test_past_a_bound_it_is_said_that_there_are_more(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    rows.deliveries("w", 5, queued_at=NOW)
    rows.deliveries("w", 4, state=DEAD)
    monkeypatch.setattr(piles, "MOST_DUE", 3)
    monkeypatch.setattr(piles, "MOST_RESTING", 4)
    pending, held, waiting, dead = outstanding(EVERYTHING)
    assert (pending.number, pending.is_cut, dead.number, dead.is_cut) == (4, True, 4, False)
    assert (held, waiting) == (Pile(), Pile())
    mine = outstanding(Scope(("w",)))
    assert (all(pile.is_cut for pile in mine), sum(pile.number for pile in mine)) == (True, 4)


# --- which webhooks fail


def test_failing_webhooks_come_by_how_bad_it_is(services: Services) -> None:
    healthy = rows.webhook(services)
    few, many = rows.webhook(services, failures=2), rows.webhook(services, "p", failures=9)
    stopped = rows.webhook(services, failures=4, circuit_until=NOW, backlog=True)
    gone = rows.webhook(services, enabled=False, disabled_reason="gone", failures=1, backlog=True)
    gone_quietly = rows.webhook(services, enabled=False, disabled_reason="gone", backlog=True)
    by_hand = rows.webhook(services, enabled=False, failures=7, backlog=True)
    deleted = rows.webhook(services, failures=8, deleted_at=NOW)
    found = failing_webhooks(EVERYTHING)
    assert [failing.webhook.id for failing in found.worst] == [gone, gone_quietly, stopped, many, few]
    assert found.number == 5
    assert not {healthy, by_hand, deleted} & {failing.webhook.id for failing in found.worst}
    assert [failing.webhook.id for failing in failing_webhooks(Scope((healthy, few))).worst] == [few]
    assert failing_webhooks(Scope(())) == ([], 0)


def test_a_failing_webhook_has_its_last_failure_and_what_is_owed_to_it(services: Services) -> None:
    failing, forgotten = rows.webhook(services, failures=2), rows.webhook(services, failures=1)
    rows.log(failing, "e", "d", NOW - 3, status=FAIL, error="too slow", response_status=None)
    last = rows.log(failing, "e", "d", NOW - 2, status=FAIL, error="the receiver answered 503", response_status=503)
    rows.log(failing, "e", "d", NOW - 1, status=ERROR, error="no payload", response_status=None)
    rows.log(failing, "e", "d", NOW)
    rows.deliveries(failing, 3, state=HELD)
    rows.deliveries(failing, 2, at=rows.AT + 10, state=DEAD)
    first, second = failing_webhooks(EVERYTHING).worst
    assert first.last is not None
    assert (first.last.id, first.last.error, first.last.response_status) == (last, "the receiver answered 503", 503)
    assert (first.owed, second.last, second.owed) == (3, None, 0)
    assert second.webhook.id == forgotten
